//! One port for all services: finds out what a request is for, lets the fault plan have its say, and hands
//! it to its engine.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::dynamodb::DynamoDbEngine;
use crate::faults::{FaultPlan, Outcome, Service};
use crate::kms::KmsEngine;
use crate::s3::S3Engine;
use crate::ses::SesEngine;
use crate::sqs::{ReceiveFault, RequestContext, SqsEngine};

mod labels;
mod routes;

pub(crate) use routes::Route;

/// What the endpoint answers; bodies of S3 are streams.
pub(crate) type Answer = Response<s3s::Body>;

/// The largest request of the services that are not S3. SES takes 40 MB, DynamoDB 16 MB.
const LARGEST_BODY_BYTES: usize = 40 * 1024 * 1024;

/// The connection has to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
pub(crate) struct ConnectionCut;

/// The engines behind one port.
pub(crate) struct Endpoint {
    pub(crate) tables: DynamoDbEngine,
    pub(crate) s3: S3Engine,
    pub(crate) queues: SqsEngine,
    pub(crate) mails: SesEngine,
    pub(crate) keys: KmsEngine,
    pub(crate) faults: FaultPlan,
}

/// A request's body: read whole, or, for S3, a stream.
enum Payload {
    Whole(Bytes),
    Stream(Incoming),
}

impl Endpoint {
    /// Answers one request.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, ConnectionCut> {
        let (parts, body) = request.into_parts();
        let route = Route::of(&parts);
        let payload = if route.service == Service::S3 {
            Payload::Stream(body)
        } else {
            if !parts.headers.contains_key(header::AUTHORIZATION) {
                return Ok(route.missing_token());
            }
            match Limited::new(body, LARGEST_BODY_BYTES).collect().await {
                Ok(collected) => Payload::Whole(collected.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => return Ok(route.too_large()),
                Err(_) => return Err(ConnectionCut),
            }
        };
        let outcome = if self.faults.is_armed() {
            self.observe(&route, &parts, &payload)
        } else {
            None
        };
        match &outcome {
            Some(Outcome::Error) => {
                discard(payload).await;
                return Ok(route.internal_error());
            }
            Some(Outcome::Throttle) => {
                discard(payload).await;
                return Ok(route.throttled());
            }
            Some(Outcome::Delay(duration)) => tokio::time::sleep(*duration).await,
            Some(Outcome::HoldBefore(gate)) => gate.pass().await,
            _ => {}
        }
        let answer = self.serve(&route, parts, payload, outcome.as_ref()).await?;
        match outcome {
            Some(Outcome::LostReply) => Err(ConnectionCut),
            Some(Outcome::HoldAfter(gate)) => {
                gate.pass().await;
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    fn observe(&self, route: &Route, parts: &Parts, payload: &Payload) -> Option<Outcome> {
        let (label, writes) = match payload {
            Payload::Whole(body) => labels::of_body(route.service, body),
            Payload::Stream(_) => (labels::of_path(&parts.uri), Vec::new()),
        };
        self.faults.observe(
            route.service,
            &route.operation,
            labels::caller(&parts.headers),
            label,
            writes,
        )
    }

    async fn serve(
        &self,
        route: &Route,
        parts: Parts,
        payload: Payload,
        outcome: Option<&Outcome>,
    ) -> Result<Answer, ConnectionCut> {
        match (route.service, payload) {
            (_, Payload::Stream(body)) => {
                let request = Request::from_parts(parts, s3s::Body::from(body));
                Box::pin(self.s3.call(request)).await.map_err(|error| {
                    tracing::error!(%error, operation = route.operation, "s3 engine failed");
                    ConnectionCut
                })
            }
            (Service::Sqs, Payload::Whole(body)) => {
                let fault = match outcome {
                    Some(Outcome::DuplicateDelivery) => ReceiveFault::Duplicate,
                    Some(Outcome::Reorder { seed }) => ReceiveFault::Reorder { seed: *seed },
                    _ => ReceiveFault::None,
                };
                let context = RequestContext {
                    host: host(&parts),
                    region: region(&parts.headers),
                    fault,
                };
                Ok(self.queues.answer(&route.operation, &body, &context).await)
            }
            (Service::Ses, Payload::Whole(body)) => {
                Ok(self.mails.answer(&parts.method, parts.uri.path(), body).await)
            }
            (Service::Kms, Payload::Whole(body)) => {
                Ok(self.keys.answer(&route.operation, &body, &region(&parts.headers)))
            }
            (Service::DynamoDb | Service::S3, Payload::Whole(body)) => {
                Ok(self.tables.answer(&route.operation, body).await)
            }
        }
    }
}

/// A client that is still sending would take an early answer for a broken connection.
async fn discard(payload: Payload) {
    if let Payload::Stream(mut body) = payload {
        while let Some(Ok(_)) = body.frame().await {}
    }
}

/// The authority that the client used, for URLs that it can use again.
fn host(parts: &Parts) -> String {
    let named = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    named.unwrap_or("localhost").to_owned()
}

/// The region that the request was signed for (third part of SigV4's credential scope).
fn region(headers: &HeaderMap) -> String {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split("Credential=").nth(1))
        .and_then(|scope| scope.split('/').nth(2))
        .filter(|region| !region.is_empty())
        .unwrap_or("eu-west-1")
        .to_owned()
}

/// An answer with a text for a body.
pub(crate) fn text_answer(status: u16, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(s3s::Body::from(body));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
