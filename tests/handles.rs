//! Which values may leave their thread, held at compile time; and what the ones that may not would say.

use std::rc::Rc;
use std::task::Waker;

use annulus::buf::{IoBuf, IoBufMut, Slice};
use annulus::sync::{Notified, Notify, across, mpsc, oneshot};
use annulus::task::{AbortHandle, Id, JoinError, JoinHandle};
use annulus::{Answer, Builder, Driver, Error, Metrics, Remote, Runtime};

/// Fails to compile if the type has the trait: with it both implementations apply, and the method is ambiguous.
macro_rules! is_not {
    ($marker:ident: $($kind:ty),+ $(,)?) => {
        $(const _: () = {
            struct Marked;
            trait Ambiguous<Which> {
                fn ask() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $marker> Ambiguous<Marked> for T {}
            let _ = <$kind as Ambiguous<_>>::ask;
        };)+
    };
}

/// Fails to compile if the type lacks the trait.
macro_rules! is {
    ($marker:ident: $($kind:ty),+ $(,)?) => {
        $(const _: fn() = || {
            fn ask<T: ?Sized + $marker>() {}
            ask::<$kind>();
        };)+
    };
}

// What belongs to a loop stays on its thread (I7), whatever it carries.
is_not! { Send:
    Runtime, JoinHandle<()>, JoinHandle<u64>, AbortHandle, annulus::Current,
    annulus::net::TcpStream, annulus::net::TcpListener, annulus::net::Accept,
    annulus::net::OwnedReadHalf, annulus::net::OwnedWriteHalf, annulus::net::ReadHalf<'static>,
    annulus::fs::File,
    annulus::net::UnixStream, annulus::net::UnixListener, annulus::io::PipeReader, annulus::io::PipeWriter,
    annulus::io::AsyncFd<std::fs::File>,
    oneshot::Sender<()>, oneshot::Receiver<()>, oneshot::Closed<'static, ()>, mpsc::Sender<()>, mpsc::WeakSender<()>,
    mpsc::Receiver<()>, mpsc::UnboundedSender<()>, mpsc::WeakUnboundedSender<()>, mpsc::UnboundedReceiver<()>,
    mpsc::Permit<'static, ()>, mpsc::Sending<'static, ()>, mpsc::Reserve<'static, ()>, mpsc::Recv<'static, ()>,
    mpsc::Closed<'static, ()>, Notify, Notified<'static>,
}
is_not! { Sync:
    Runtime, JoinHandle<()>, AbortHandle, annulus::net::TcpStream, annulus::net::TcpListener, annulus::fs::File,
    mpsc::Sender<()>, oneshot::Sender<()>, Notify,
}

// Plain data go anywhere.
is! { Send: Builder, Driver, Error, Metrics, Id, JoinError, Waker, annulus::time::Sleep, annulus::time::Elapsed }
is! { Sync: Builder, Driver, Error, Metrics, Id, Waker }
is! { Send: annulus::fs::Metadata, annulus::fs::OpenOptions, annulus::UnknownDriver }
is! { Send: Slice<Vec<u8>> }
// What reaches a loop from elsewhere.
is! { Send: Remote, Answer<Vec<u8>>, across::mpsc::Sender<u8>, across::oneshot::Receiver<u8> }
is! { Sync: Remote, Answer<std::cell::Cell<u8>> }
is_not! { Send: Answer<Rc<()>> }
is! { Send: oneshot::RecvError, oneshot::TryRecvError, mpsc::SendError<u8>, mpsc::TrySendError<u8>, mpsc::TryRecvError }
is! { Send: annulus::net::unix::SocketAddr, annulus::net::unix::PeerCredentials, annulus::io::Interest, annulus::io::Ready }
is_not! { Send: Slice<Rc<[u8]>> }

// What moves its bytes with its handle is no buffer, and what others may write is none either.
is_not! { IoBuf: [u8; 16], &'static mut [u8], Vec<u16>, Option<Vec<u8>>, [u8] }
is_not! { IoBufMut: &'static [u8], Rc<[u8]>, std::sync::Arc<[u8]>, String, bytes::Bytes, &'static str }
is! { IoBuf: Vec<u8>, Box<[u8]>, String, bytes::Bytes, bytes::BytesMut, &'static [u8], Rc<[u8]>, std::sync::Arc<[u8]> }
is! { IoBufMut: Vec<u8>, Box<[u8]>, bytes::BytesMut, Slice<Vec<u8>> }

// An operation may be moved about while it is in flight.
is! { Unpin: JoinHandle<std::marker::PhantomPinned>, annulus::net::Accept, Answer<std::marker::PhantomPinned> }

// So may what holds a message, whatever that is.
is! { Unpin:
    oneshot::Receiver<std::marker::PhantomPinned>, mpsc::Sending<'static, std::marker::PhantomPinned>,
    mpsc::Receiver<std::marker::PhantomPinned>, mpsc::Recv<'static, std::marker::PhantomPinned>,
}

#[test]
fn errors_become_errors_of_std_with_their_text() {
    fn becomes(error: impl Into<std::io::Error>) -> std::io::Error {
        error.into()
    }
    let outcome = annulus::run(async {
        let cancelled = annulus::spawn(std::future::pending::<()>());
        cancelled.abort();
        let nested = annulus::run(async {}).unwrap_err();
        (cancelled.await.unwrap_err(), nested)
    });
    let (cancelled, nested) = outcome.unwrap();
    let cancelled = becomes(cancelled);
    assert_eq!(cancelled.kind(), std::io::ErrorKind::Interrupted);
    assert!(cancelled.to_string().contains("aborted"), "{cancelled}");
    assert!(becomes(nested).to_string().contains("annulus::spawn"));
}

#[test]
fn a_join_error_may_be_told_on_another_thread() {
    let error = annulus::run(async {
        let task = annulus::spawn(std::future::pending::<()>());
        task.abort();
        task.await.unwrap_err()
    });
    let told = std::thread::spawn(move || error.unwrap().to_string()).join().unwrap();
    assert!(told.contains("cancelled"), "{told}");
}

#[test]
fn everything_can_be_shown() {
    annulus::run(async {
        let listener = annulus::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = annulus::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (nop, sleep) = (annulus::nop(), annulus::time::sleep(std::time::Duration::ZERO));
        let file = annulus::fs::File::open("Cargo.toml").await.unwrap();
        let meta = file.metadata().await.unwrap();
        let runtime = Runtime::try_current();
        let remote = runtime.as_ref().unwrap().remote();
        let answer = remote.run(|| ());
        let text = format!(
            "{listener:?} {stream:?} {nop:?} {sleep:?} {file:?} {meta:?} {runtime:?} {remote:?} {answer:?} {:?} {:?}",
            listener.accept(),
            stream.read(Vec::new()),
        );
        for part in ["127.0.0.1", "Submitted", "recv", "idle", "Metadata", "deadline", "Remote", "Answer"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    })
    .unwrap();
}
