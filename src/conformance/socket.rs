//! Any socket, as operations and controls have it: what scripts are written with.
//!
//! Most of the kinds have no type of their own yet, and those that have one are asked for more here than users need.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use socket2::SockAddr;

use super::messages::Said;
use super::normal::Events;
use crate::buf::IoBuf;
use crate::driver::{Control, Descriptor, Hold, NameOption, Property, Reply, Setting};
use crate::engine::current_port;
use crate::op::{
    self, Bounds, Connect, One, Peek, Recv, RecvMany, RecvMessage, Recvmsg, Send, SendMany, SendMessage,
    Sendmsg, Shutdown, Submitted, Whole,
};
use crate::sys::control::Ancillary;

/// This machine, at a port of the system's choice.
pub(super) const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long a poll may wait that asks how things stand.
const AT_ONCE: Duration = Duration::from_millis(5);

pub(super) struct Socket(Descriptor);

pub(super) type Receiving = Submitted<RecvMessage<One<Vec<u8>>, Said>>;
pub(super) type Sending = Submitted<SendMessage<One<&'static str>>>;

impl Socket {
    pub(super) async fn of(domain: i32, kind: i32, protocol: i32) -> io::Result<Socket> {
        Submitted::new(op::Socket::new(current_port(), domain, kind, protocol)).await.map(Socket)
    }

    /// A file, which is no socket.
    pub(super) async fn opened(path: &Path) -> Socket {
        let open = op::Open::new(current_port(), op::path::At::here(path).unwrap(), libc::O_RDWR, 0);
        Submitted::new(open).await.map(Socket).unwrap()
    }

    pub(super) async fn tcp() -> Socket {
        Socket::of(libc::AF_INET, libc::SOCK_STREAM, 0).await.unwrap()
    }

    pub(super) async fn udp() -> Socket {
        Socket::of(libc::AF_INET, libc::SOCK_DGRAM, 0).await.unwrap()
    }

    /// A Unix socket: SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
    pub(super) async fn unix(kind: i32) -> Socket {
        Socket::of(libc::AF_UNIX, kind, 0).await.unwrap()
    }

    /// One that listens, and where.
    pub(super) async fn listening() -> (Socket, SocketAddr) {
        let listener = Socket::tcp().await;
        listener.bind(HERE).unwrap();
        listener.listen(16).unwrap();
        let address = listener.address();
        (listener, address)
    }

    /// A TCP connection: who connected, and who accepted.
    pub(super) async fn pair() -> (Socket, Socket) {
        let (listener, address) = Socket::listening().await;
        let client = Socket::tcp().await;
        client.connect(address).await.unwrap();
        let server = listener.accept().await.unwrap();
        (client, server)
    }

    /// A UDP socket with a name.
    pub(super) async fn bound() -> (Socket, SocketAddr) {
        let socket = Socket::udp().await;
        socket.bind(HERE).unwrap();
        let address = socket.address();
        (socket, address)
    }

    /// Two UDP sockets that are connected to each other.
    pub(super) async fn couple() -> (Socket, Socket) {
        let ((one, at), (other, there)) = (Socket::bound().await, Socket::bound().await);
        one.connect(there).await.unwrap();
        other.connect(at).await.unwrap();
        (one, other)
    }

    /// A Unix socket that listens at a name.
    pub(super) async fn listening_at(kind: i32, name: &SockAddr) -> Socket {
        let listener = Socket::unix(kind).await;
        listener.bind(name.clone()).unwrap();
        listener.listen(16).unwrap();
        listener
    }

    /// A Unix connection through a name: who connected, and who accepted.
    pub(super) async fn pair_at(kind: i32, name: &SockAddr) -> (Socket, Socket) {
        let listener = Socket::listening_at(kind, name).await;
        let client = Socket::unix(kind).await;
        client.connect(name.clone()).await.unwrap();
        let server = listener.accept().await.unwrap();
        (client, server)
    }

    pub(super) fn hold(&self) -> Hold {
        self.0.hold()
    }

    // Operations.

    pub(super) fn connect(&self, name: impl Into<SockAddr>) -> Submitted<Connect> {
        Submitted::new(Connect::new(self.0.hold(), name.into()))
    }

    /// A connect that does not wait until a listener's queue has a place.
    pub(super) fn connect_at_once(&self, name: impl Into<SockAddr>) -> Submitted<Connect> {
        Submitted::new(Connect::at_once(self.0.hold(), name.into()))
    }

    pub(super) async fn accept(&self) -> io::Result<Socket> {
        self.accepting().await.map(Socket)
    }

    /// An accept that can be given up.
    pub(super) fn accepting(&self) -> Submitted<op::Accept> {
        Submitted::new(op::Accept::new(self.0.hold()))
    }

    /// An accept that goes on.
    pub(super) fn accepting_often(&self) -> Submitted<op::AcceptOften> {
        Submitted::new(op::AcceptOften::new(self.0.hold()))
    }

    pub(super) fn recv(&self, room: usize) -> Submitted<Recv<Vec<u8>>> {
        Submitted::new(Recv::new(self.0.hold(), Vec::with_capacity(room)))
    }

    /// As many bytes, whatever the pieces in which they arrive.
    pub(super) fn recv_all(&self, length: usize) -> Submitted<Whole<Recv<Vec<u8>>>> {
        Submitted::new(Whole::new(Recv::new(self.0.hold(), Vec::with_capacity(length))))
    }

    pub(super) fn peek(&self, room: usize) -> Submitted<Peek<Vec<u8>>> {
        Submitted::new(Peek::new(self.0.hold(), Vec::with_capacity(room)))
    }

    pub(super) fn recv_vectored(&self, rooms: &[usize]) -> Submitted<Recvmsg<Vec<u8>>> {
        let buffers = rooms.iter().map(|room| Vec::with_capacity(*room)).collect();
        Submitted::new(Recvmsg::new(self.0.hold(), buffers))
    }

    pub(super) fn send<B: IoBuf>(&self, bytes: B) -> Submitted<Send<B>> {
        Submitted::new(Send::new(self.0.hold(), bytes))
    }

    pub(super) fn send_all<B: IoBuf>(&self, bytes: B) -> Submitted<Whole<Send<B>>> {
        Submitted::new(Whole::new(Send::new(self.0.hold(), bytes)))
    }

    pub(super) fn send_vectored(&self, texts: &[&'static str]) -> Submitted<Sendmsg<&'static str>> {
        Submitted::new(Sendmsg::new(self.0.hold(), texts.to_vec()))
    }

    // Messages.

    pub(super) fn recv_message(&self, room: usize) -> Receiving {
        self.recv_message_with(room, 256)
    }

    pub(super) fn recv_message_with(&self, room: usize, control_bytes: usize) -> Receiving {
        let buffer = One(Vec::with_capacity(room));
        Submitted::new(RecvMessage::new(self.0.hold(), Bounds::Kept, buffer, control_bytes))
    }

    pub(super) fn peek_message(&self, room: usize) -> Receiving {
        let buffer = One(Vec::with_capacity(room));
        Submitted::new(RecvMessage::new(self.0.hold(), Bounds::Kept, buffer, 0).peeking())
    }

    /// What a receive says if something is there for it, and ETIMEDOUT if it would wait.
    pub(super) async fn recv_message_now(&self, room: usize) -> (io::Result<Said>, Vec<u8>) {
        self.recv_message(room).timeout(AT_ONCE).await
    }

    /// Of a stream.
    pub(super) fn recv_piece(&self, room: usize) -> Receiving {
        let buffer = One(Vec::with_capacity(room));
        Submitted::new(RecvMessage::new(self.0.hold(), Bounds::None, buffer, 256))
    }

    pub(super) fn recv_many(&self, rooms: &[usize]) -> Submitted<RecvMany<Vec<u8>, Said>> {
        let buffers = rooms.iter().map(|room| Vec::with_capacity(*room)).collect();
        Submitted::new(RecvMany::new(self.0.hold(), buffers, 256))
    }

    pub(super) fn send_message(&self, text: &'static str) -> Sending {
        self.send_with(text, None, Ancillary::new())
    }

    pub(super) fn send_to(&self, text: &'static str, to: impl Into<SockAddr>) -> Sending {
        self.send_with(text, Some(to.into()), Ancillary::new())
    }

    pub(super) fn send_with(&self, text: &'static str, to: Option<SockAddr>, with: Ancillary) -> Sending {
        Submitted::new(SendMessage::new(self.0.hold(), Bounds::Kept, One(text), to.as_ref(), with))
    }

    /// Of a stream.
    pub(super) fn send_piece(&self, text: &'static str) -> Sending {
        Submitted::new(SendMessage::new(self.0.hold(), Bounds::None, One(text), None, Ancillary::new()))
    }

    pub(super) fn send_many(&self, texts: &[&'static str]) -> Submitted<SendMany<&'static str>> {
        let messages = texts.iter().map(|text| (*text, None, Ancillary::new()));
        Submitted::new(SendMany::new(self.0.hold(), messages))
    }

    pub(super) fn shutdown(&self, how: i32) -> Submitted<Shutdown> {
        Submitted::new(Shutdown::new(self.0.hold(), how))
    }

    pub(super) fn poll(&self, events: i16) -> Submitted<op::Poll> {
        Submitted::new(op::Poll::new(self.0.hold(), events))
    }

    /// Which of the events are there now, and HUP and ERR, which need not be asked for. ETIMEDOUT if none.
    pub(super) async fn ready(&self, events: i16) -> io::Result<Events> {
        self.poll(events).timeout(AT_ONCE).await.map(Events)
    }

    /// What a receive says if something is there for it, and ETIMEDOUT if it would wait.
    pub(super) async fn recv_now(&self, room: usize) -> (io::Result<usize>, Vec<u8>) {
        self.recv(room).timeout(AT_ONCE).await
    }

    pub(super) async fn close(self) -> io::Result<()> {
        op::close(self.0).await
    }

    // Controls.

    fn control(&self, control: Control<'_>) -> io::Result<Reply> {
        self.0.port().control(self.0.number(), control)
    }

    pub(super) fn bind(&self, name: impl Into<SockAddr>) -> io::Result<()> {
        self.control(Control::Bind(&name.into())).map(drop)
    }

    pub(super) fn listen(&self, backlog: i32) -> io::Result<()> {
        self.control(Control::Listen(backlog)).map(drop)
    }

    pub(super) fn name(&self) -> io::Result<SockAddr> {
        match self.control(Control::LocalName)? {
            Reply::Name(name) => Ok(name),
            other => panic!("not a name: {other:?}"),
        }
    }

    pub(super) fn peer(&self) -> io::Result<SockAddr> {
        match self.control(Control::PeerName)? {
            Reply::Name(name) => Ok(name),
            other => panic!("not a name: {other:?}"),
        }
    }

    /// Its name, of which it is known that it is an internet address.
    pub(super) fn address(&self) -> SocketAddr {
        self.name().unwrap().as_socket().unwrap()
    }

    pub(super) fn set(&self, setting: Setting) -> io::Result<()> {
        self.control(Control::Set(setting)).map(drop)
    }

    pub(super) fn flag(&self, property: Property) -> io::Result<bool> {
        match self.control(Control::Get(property))? {
            Reply::Flag(on) => Ok(on),
            other => panic!("not a flag: {other:?}"),
        }
    }

    pub(super) fn number(&self, property: Property) -> io::Result<u64> {
        match self.control(Control::Get(property))? {
            Reply::Number(number) => Ok(number),
            other => panic!("not a number: {other:?}"),
        }
    }

    pub(super) fn short_name(&self, option: NameOption) -> io::Result<Vec<u8>> {
        match self.control(Control::Get(Property::ShortName(option)))? {
            Reply::ShortName(name) => Ok(name),
            other => panic!("not a name: {other:?}"),
        }
    }

    pub(super) fn linger(&self) -> io::Result<Option<Duration>> {
        match self.control(Control::Get(Property::Linger))? {
            Reply::Span(span) => Ok(span),
            other => panic!("not a span: {other:?}"),
        }
    }

    /// The error that the socket keeps, which is thereby taken.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self.control(Control::Get(Property::Error))? {
            Reply::Error(error) => Ok(error),
            other => panic!("not an error: {other:?}"),
        }
    }

    /// Has the peer see a reset instead of an end when this is closed.
    pub(super) async fn reset(self) {
        self.set(Setting::Linger(Some(Duration::ZERO))).unwrap();
        self.close().await.unwrap();
    }
}
