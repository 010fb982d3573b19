//! The connections of a server: at most so many at a time, and none that says nothing.

use std::{
    fmt::Display,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

/// How long a new connection may say nothing: whoever makes one has something to say.
const SILENCE: Duration = Duration::from_secs(20);
/// How long no connection is accepted after that failed, for want of files: asking at once would
/// keep a processor busy until there are some.
const PAUSE: Duration = Duration::from_millis(50);
/// How often connections that are turned away are logged at most.
const TELL: Duration = Duration::from_secs(10);

/// Accepts connections, as long as there are places.
#[derive(Debug)]
pub(crate) struct Connections {
    incoming: TcpIncoming,
    most: usize,
    places: Arc<Semaphore>,
    pause: Option<Pin<Box<Sleep>>>,
    turned_away: TurnedAway,
}

impl Connections {
    /// At most `most` at a time.
    pub(crate) fn new(incoming: TcpIncoming, most: usize) -> Self {
        Self {
            incoming,
            most,
            places: Arc::new(Semaphore::new(most)),
            pause: None,
            turned_away: TurnedAway::default(),
        }
    }
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(context));
                this.pause = None;
            }
            match ready!(Pin::new(&mut this.incoming).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    this.turned_away.one(&error);
                    this.pause = Some(Box::pin(sleep(PAUSE)));
                }
                Some(Ok(stream)) => match Arc::clone(&this.places).try_acquire_owned() {
                    Ok(place) => return Poll::Ready(Some(Ok(Connection::new(place, stream)))),
                    Err(_) => {
                        let most = this.most;
                        let why =
                            format_args!("there are {most}, and no more may (max-connections)");
                        this.turned_away.one(&why);
                    }
                },
            }
        }
    }
}

/// Connections that were not taken, told now and then: whoever tries often must not fill the log.
#[derive(Debug, Default)]
struct TurnedAway {
    count: u64,
    told: Option<Instant>,
}

impl TurnedAway {
    fn one(&mut self, reason: &dyn Display) {
        self.count += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELL) {
            tracing::warn!(connections = self.count, %reason, "turned away");
            *self = Self {
                count: 0,
                told: Some(Instant::now()),
            };
        }
    }
}

/// A connection, and its place among those there may be.
#[derive(Debug)]
pub(crate) struct Connection {
    // Dropped in this order: once a client sees that its connection ended there is a place again.
    _place: OwnedSemaphorePermit,
    stream: TcpStream,
    /// When it is closed for its silence; none once it has said something.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    fn new(place: OwnedSemaphorePermit, stream: TcpStream) -> Self {
        Self {
            _place: place,
            stream,
            silence: Some(Box::pin(sleep(SILENCE))),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(silence) = &mut self.silence {
            if read.is_pending() {
                ready!(silence.as_mut().poll(context));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.silence = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn connections(most: usize) -> (Connections, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Connections::new(TcpIncoming::from(listener), most), address)
    }

    async fn next(connections: &mut Connections) -> Connection {
        let next = std::future::poll_fn(|context| Pin::new(&mut *connections).poll_next(context));
        next.await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn beyond_its_places_a_connection_is_closed_and_a_place_is_free_again() {
        let (mut connections, address) = connections(1).await;
        let first = TcpStream::connect(address).await.unwrap();
        let held = next(&mut connections).await;
        let mut second = TcpStream::connect(address).await.unwrap();
        let mut byte = [0];
        tokio::select! {
            _ = next(&mut connections) => panic!("one too many was taken"),
            read = second.read(&mut byte) => assert_eq!(read.unwrap_or(0), 0),
        }
        drop(held);
        drop(first);
        let _third = TcpStream::connect(address).await.unwrap();
        next(&mut connections).await;
        assert_eq!(
            connections.turned_away.count, 0,
            "the first is told at once"
        );
        assert!(connections.turned_away.told.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_that_says_nothing_is_closed_and_one_that_spoke_is_not() {
        let (mut connections, address) = connections(2).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut silent = next(&mut connections).await;
        let mut byte = [0];
        let closed = silent.read(&mut byte).await.unwrap_err();
        assert_eq!(closed.kind(), io::ErrorKind::TimedOut);

        let mut speaks = TcpStream::connect(address).await.unwrap();
        let mut heard = next(&mut connections).await;
        speaks.write_all(b"a").await.unwrap();
        assert_eq!(heard.read(&mut byte).await.unwrap(), 1);
        tokio::time::advance(10 * SILENCE).await;
        let again = std::future::poll_fn(|context| {
            Poll::Ready(Pin::new(&mut heard).poll_read(context, &mut ReadBuf::new(&mut [0])))
        });
        assert!(again.await.is_pending());
        client.write_all(b"late").await.unwrap();
    }
}
