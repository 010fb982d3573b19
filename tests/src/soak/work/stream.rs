//! A stream of requests on a connection of its own. tonic's client goes on sending what it streams
//! after its caller has left, so that the service is never told; clients in other languages cancel
//! the call, and so does this one.

use std::{future::poll_fn, net::SocketAddr, pin::pin, time::Duration};

use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest, handshake},
};
use http::{HeaderMap, Request};
use prost::{
    Message,
    bytes::{BufMut as _, Bytes, BytesMut},
};
use tokio::net::TcpStream;
use tonic::Status;

use super::Pending;
use crate::Outcome;

/// A connection for streams. Clones share it.
#[derive(Debug, Clone)]
pub(in crate::soak) struct Streams {
    connection: SendRequest<Bytes>,
    origin: String,
}

impl Streams {
    /// Connects to a service.
    pub(in crate::soak) async fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (connection, work) = handshake(stream).await?;
        // It ends with the service, which the next call tells of.
        tokio::spawn(async move { work.await.ok() });
        Ok(Self {
            connection,
            origin: format!("http://{address}"),
        })
    }

    /// Sends `messages` to a method and waits for the end of the answers, which it drops. Cancels the
    /// call when it is dropped.
    pub(super) fn send<M: Message>(
        self,
        method: &str,
        timeout: Option<Duration>,
        messages: impl IntoIterator<Item = M>,
    ) -> Pending {
        let frames: Vec<_> = messages
            .into_iter()
            .map(|message| frame(&message))
            .collect();
        let mut request = Request::post(format!("{}{method}", self.origin))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", format!("{}u", timeout.as_micros()));
        }
        let request = request.body(());
        Box::pin(async move {
            let request = request.map_err(|error| failed(&error))?;
            let connection = self.connection.ready().await;
            let mut connection = connection.map_err(|error| failed(&error))?;
            let sent = connection.send_request(request, false);
            let (response, stream) = sent.map_err(|error| failed(&error))?;
            let mut answered = pin!(answered(response));
            tokio::select! {
                status = &mut answered => return status,
                // Where it could not all be sent, the answer says why.
                _ = send_all(stream, frames) => {}
            }
            answered.await
        })
    }
}

/// A message as gRPC frames it: not compressed, its length, itself.
fn frame(message: &impl Message) -> Bytes {
    let bytes = message.encode_to_vec();
    let mut frame = BytesMut::with_capacity(5 + bytes.len());
    frame.put_u8(0);
    // What is sent here is far below 4 GiB.
    frame.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    frame.put_slice(&bytes);
    frame.freeze()
}

async fn send_all(mut stream: SendStream<Bytes>, frames: Vec<Bytes>) -> Result<(), h2::Error> {
    for mut frame in frames {
        while !frame.is_empty() {
            stream.reserve_capacity(frame.len());
            let Some(room) = poll_fn(|context| stream.poll_capacity(context)).await else {
                // The service reads no more; its answer says why.
                return Ok(());
            };
            stream.send_data(frame.split_to(room?.min(frame.len())), false)?;
        }
    }
    stream.send_data(Bytes::new(), true)
}

/// Reads answers to their end and gives what they end with.
async fn answered(response: ResponseFuture) -> Result<(), Status> {
    let (head, mut answers) = response.await.map_err(|error| failed(&error))?.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return ended(status);
    }
    let trailers = read(&mut answers).await.map_err(|error| failed(&error))?;
    let status = trailers.as_ref().and_then(Status::from_header_map);
    ended(status.unwrap_or_else(|| Status::unknown("the answers have no end")))
}

async fn read(answers: &mut RecvStream) -> Result<Option<HeaderMap>, h2::Error> {
    while let Some(part) = answers.data().await {
        let part = part?;
        answers.flow_control().release_capacity(part.len())?;
    }
    answers.trailers().await
}

fn ended(status: Status) -> Result<(), Status> {
    match status.code() {
        tonic::Code::Ok => Ok(()),
        _ => Err(status),
    }
}

fn failed(error: &dyn std::error::Error) -> Status {
    Status::unknown(error.to_string())
}
