//! The connections of a server: at most so many at a time, and none that does not begin.

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
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, Sleep, sleep, timeout},
};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

use crate::deadline::Phase;

/// How long a new connection may take until it has said that it speaks HTTP/2.
const SILENCE: Duration = Duration::from_secs(20);
/// The bytes that say so: the preface that every client begins with.
const PREFACE: usize = 24;
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
    phase: watch::Receiver<Phase>,
    pause: Option<Pin<Box<Sleep>>>,
    turned_away: TurnedAway,
}

impl Connections {
    /// At most `most` at a time, of a server that is in `phase`.
    pub(crate) fn new(incoming: TcpIncoming, most: usize, phase: watch::Receiver<Phase>) -> Self {
        Self {
            incoming,
            most,
            places: Arc::new(Semaphore::new(most)),
            phase,
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
                    Ok(place) => {
                        return Poll::Ready(Some(Ok(Connection::new(
                            place,
                            stream,
                            this.phase.clone(),
                        ))));
                    }
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
pub(crate) struct Connection {
    // Dropped in this order: once a client sees that its connection ended there is a place again.
    _place: OwnedSemaphorePermit,
    stream: TcpStream,
    /// Until it has begun.
    beginning: Option<Beginning>,
}

/// A connection that has not said all of the preface yet.
struct Beginning {
    /// The bytes that it has said.
    heard: usize,
    /// Ends when it is closed for its silence: after a time, or with the server, which must not wait
    /// for who has no call.
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Connection {
    fn new(
        place: OwnedSemaphorePermit,
        stream: TcpStream,
        mut phase: watch::Receiver<Phase>,
    ) -> Self {
        let over = async move {
            let ends = phase.wait_for(|phase| *phase != Phase::Serving);
            // Whichever comes first, it is over.
            drop(timeout(SILENCE, ends).await);
        };
        Self {
            _place: place,
            stream,
            beginning: Some(Beginning {
                heard: 0,
                over: Box::pin(over),
            }),
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
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(beginning) = &mut self.beginning else {
            return read;
        };
        if read.is_pending() {
            ready!(beginning.over.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        beginning.heard += buffer.filled().len() - before;
        if beginning.heard >= PREFACE {
            self.beginning = None;
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

    async fn connections(most: usize) -> (Connections, std::net::SocketAddr, watch::Sender<Phase>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, phase) = watch::channel(Phase::Serving);
        let connections = Connections::new(TcpIncoming::from(listener), most, phase);
        (connections, address, tell)
    }

    async fn next(connections: &mut Connections) -> Connection {
        let next = std::future::poll_fn(|context| Pin::new(&mut *connections).poll_next(context));
        next.await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn beyond_its_places_a_connection_is_closed_and_a_place_is_free_again() {
        let (mut connections, address, _tell) = connections(1).await;
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
    async fn a_new_connection_that_does_not_begin_is_closed_and_one_that_spoke_is_not() {
        let (mut connections, address, tell) = connections(3).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut silent = next(&mut connections).await;
        let mut byte = [0];
        // A part of the preface is as good as nothing.
        client.write_all(b"P").await.unwrap();
        assert_eq!(silent.read(&mut byte).await.unwrap(), 1);
        let closed = silent.read(&mut byte).await.unwrap_err();
        assert_eq!(closed.kind(), io::ErrorKind::TimedOut);

        let mut speaks = TcpStream::connect(address).await.unwrap();
        let mut heard = next(&mut connections).await;
        speaks.write_all(&[b'a'; PREFACE]).await.unwrap();
        let mut preface = [0; PREFACE];
        heard.read_exact(&mut preface).await.unwrap();
        tokio::time::advance(10 * SILENCE).await;
        let again = std::future::poll_fn(|context| {
            Poll::Ready(Pin::new(&mut heard).poll_read(context, &mut ReadBuf::new(&mut [0])))
        });
        assert!(again.await.is_pending());

        let _other = TcpStream::connect(address).await.unwrap();
        let mut late = next(&mut connections).await;
        tell.send_replace(Phase::Draining);
        let closed = late.read(&mut byte).await.unwrap_err();
        assert_eq!(closed.kind(), io::ErrorKind::TimedOut);
    }
}
