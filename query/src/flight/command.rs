//! Commands and tickets: protobuf in protobuf.

use arrow_flight::FlightDescriptor;
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{Any, Command, ProstMessageExt};
use prost::Message;
use tonic::Status;

use super::status::invalid;

/// The command that bytes hold.
pub(super) fn command(bytes: &[u8]) -> Result<Command, Status> {
    let any = Any::decode(bytes).map_err(|error| invalid(format!("no command: {error}")))?;
    Command::try_from(any).map_err(|error| invalid(error.to_string()))
}

/// The command of a descriptor.
pub(super) fn command_of(descriptor: &FlightDescriptor) -> Result<Command, Status> {
    match descriptor.r#type() {
        DescriptorType::Cmd => command(&descriptor.cmd),
        DescriptorType::Path | DescriptorType::Unknown => {
            Err(invalid("a flight is asked for by a command of Flight SQL, not by a path"))
        }
    }
}

/// The message of a kind that bytes hold.
pub(super) fn message<M: ProstMessageExt>(bytes: &[u8]) -> Result<M, Status> {
    let any = Any::decode(bytes).map_err(|error| invalid(format!("no message: {error}")))?;
    let message = any.unpack::<M>().map_err(|error| invalid(error.to_string()))?;
    message.ok_or_else(|| invalid(format!("`{}` is not {}", any.type_url, M::type_url())))
}
