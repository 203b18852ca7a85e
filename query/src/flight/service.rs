//! The methods of Flight.

use std::sync::Arc;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt, iter};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::caller::Caller;
use super::connection::Connection;
use super::shared::Shared;
use super::status::{ending, internal};
use super::{actions, flights, puts};

/// The port, as gRPC calls it.
#[derive(Debug)]
pub(super) struct Port {
    shared: Arc<Shared>,
}

type Messages<T> = BoxStream<'static, Result<T, Status>>;

fn several<T: Send + 'static>(messages: impl IntoIterator<Item = T>) -> Response<Messages<T>> {
    let messages: Vec<_> = messages.into_iter().map(Ok).collect();
    Response::new(iter(messages).boxed())
}

fn not_there(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not there: ask for flights by commands of Flight SQL"))
}

impl Port {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Who asks. Nothing is done for who has not shown that.
    async fn caller(
        &self,
        headers: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Caller, Status> {
        if self.shared.ended.is_cancelled() {
            return Err(ending());
        }
        let signed_in = self.shared.door.who(headers).await?;
        self.admit(extensions)?;
        Ok(Caller::new(signed_in, headers))
    }

    /// Gives the connection a place, as a request of it has shown who it is.
    fn admit(&self, extensions: &Extensions) -> Result<(), Status> {
        match extensions.get::<Connection>() {
            Some(connection) if connection.admit(&self.shared.places) => Ok(()),
            Some(_) => Err(Status::resource_exhausted("sorry, too many clients already")),
            None => Err(Status::internal("the request has no connection")),
        }
    }
}

#[async_trait]
impl FlightService for Port {
    type HandshakeStream = Messages<HandshakeResponse>;
    type ListFlightsStream = Messages<FlightInfo>;
    type DoGetStream = Messages<FlightData>;
    type DoPutStream = Messages<PutResult>;
    type DoExchangeStream = Messages<FlightData>;
    type DoActionStream = Messages<arrow_flight::Result>;
    type ListActionsStream = Messages<ActionType>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let token = self.shared.door.handshake(request.metadata()).await?;
        self.admit(request.extensions())?;
        let bearer = MetadataValue::try_from(format!("Bearer {token}"));
        let bearer = bearer.map_err(|error| internal("send a token", &error))?;
        let mut response = several([HandshakeResponse::default()]);
        response.metadata_mut().insert("authorization", bearer);
        Ok(response)
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        self.caller(request.metadata(), request.extensions()).await?;
        Err(not_there("a list of flights"))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        let info = flights::info(&self.shared, &caller, request.into_inner()).await?;
        Ok(Response::new(info))
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        self.caller(request.metadata(), request.extensions()).await?;
        Err(not_there("polling"))
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        let schema = flights::schema(&self.shared, &caller, request.get_ref()).await?;
        Ok(Response::new(SchemaResult { schema }))
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        flights::get(&self.shared, caller, request.get_ref()).await.map(Response::new)
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        let result = puts::put(&self.shared, &caller, request.into_inner()).await?;
        Ok(several([result]))
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        self.caller(request.metadata(), request.extensions()).await?;
        Err(not_there("an exchange"))
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        let body = actions::act(&self.shared, &caller, request.get_ref()).await?;
        Ok(several(body.map(arrow_flight::Result::new)))
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        self.caller(request.metadata(), request.extensions()).await?;
        Ok(several(actions::list()))
    }
}
