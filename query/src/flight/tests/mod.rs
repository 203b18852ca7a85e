//! Clients at a port on a real socket, over small tables.

mod connections;
mod errors;
mod metadata;
mod prepared;
mod sign_in;
mod statements;
mod stopping;
mod transactions;
mod world;
