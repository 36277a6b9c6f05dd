//! A program that uses every operation: what is refused, missing or done otherwise is put under it.

use std::io::{Read, SeekFrom, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use annulus::fs::{self, Advice, Dir, File, FileTimes};
use annulus::io::{AsyncFd, Interest};
use annulus::net::{Outgoing, TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use annulus::time::timeout;
use annulus::{spawn, spawn_blocking};

use super::data::{assert_same, bytes};
use super::net::{pair, read_to_end};

/// Uses every operation once or more, and says when an answer is wrong, or does not come.
pub(crate) async fn everything() {
    timeout(Duration::from_secs(20), every_operation()).await.expect("an answer to each");
}

async fn every_operation() {
    // Sockets.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let all = read_to_end(&stream).await;
        stream.writable().await.unwrap();
        let (half, rest) = all.split_at(all.len() / 2);
        let (result, _) = stream.writev(vec![half[..10].to_vec(), half[10..20].to_vec()]).await;
        assert_eq!(result.unwrap(), 20);
        stream.write_all(half[20..].to_vec()).await.0.unwrap();
        stream.write_all(rest.to_vec()).await.0.unwrap();
        stream.close().await.unwrap();
        listener.close().await.unwrap();
    });
    let client = TcpStream::connect(address).await.unwrap();
    let wanted = bytes(1, 300_000);
    for chunk in wanted.chunks(100_000) {
        client.write_all(chunk.to_vec()).await.0.unwrap();
    }
    client.shutdown(Shutdown::Write).await.unwrap();
    client.readable().await.unwrap();
    let (result, seen) = client.peek(Vec::with_capacity(3)).await;
    assert_eq!(seen[..], wanted[..result.unwrap()]);
    let (result, rooms) = client.readv(vec![Vec::with_capacity(3), Vec::with_capacity(5)]).await;
    assert!(result.unwrap() > 0);
    let mut got = rooms.concat();
    got.extend(read_to_end(&client).await);
    assert_same(&got, &wanted);
    client.close().await.unwrap();
    echo.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    leases().await;
    unix().await;

    // Datagrams.
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(server.local_addr().unwrap()).await.unwrap();
    let receive = spawn(async move {
        let (received, buffer) = server.recv_from(Vec::with_capacity(100)).await;
        server.send_to(buffer, received.unwrap().from).await.0.unwrap();
        let (messages, buffers) = server.recv_many(vec![Vec::with_capacity(100)]).await;
        let to = messages.unwrap()[0].from;
        let messages = buffers.into_iter().map(|buffer| Outgoing::new(buffer).to(to));
        server.send_many(messages).await.0.unwrap()
    });
    for text in ["there and", "back again"] {
        client.send(text).await.0.unwrap();
        assert_eq!(client.recv(Vec::with_capacity(100)).await.1, text.as_bytes());
    }
    assert_eq!(receive.await.unwrap(), 1);

    // Files.
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("made")).await.unwrap();
    let file = File::options().read(true).write(true).create_new(true).open(path("made/file")).await.unwrap();
    file.write_all_at("0123456789", 0).await.0.unwrap();
    file.writev_at(vec!["ab", "cd"], 4).await.0.unwrap();
    file.sync_data().await.unwrap();
    file.sync_all().await.unwrap();
    file.set_len(9).await.unwrap();
    assert_eq!(file.metadata().await.unwrap().len(), 9);
    assert_eq!(file.read(Vec::with_capacity(4)).await.1, b"0123");
    assert_eq!(file.read(Vec::with_capacity(9)).await.1, b"abcd8");
    let (_, rooms) = file.readv_at(vec![Vec::with_capacity(4), Vec::with_capacity(9)], 0).await;
    assert_eq!(rooms, [&b"0123"[..], b"abcd8"]);
    file.close().await.unwrap();
    fs::rename(path("made/file"), path("renamed")).await.unwrap();
    assert_eq!(fs::read(path("renamed")).await.unwrap(), b"0123abcd8");
    names(&path("made")).await;
    fs::remove_file(path("renamed")).await.unwrap();
    fs::remove_dir(path("made")).await.unwrap();
    assert!(fs::metadata(path("made")).await.is_err());
    let error = File::open(path("none")).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);

    let (reader, writer) = annulus::io::pipe().await.unwrap();
    writer.write_all("water").await.0.unwrap();
    assert_eq!(reader.read_exact(vec![0; 5]).await.1, b"water");
    assert_eq!(writer.writev(vec!["ab", "cd"]).await.0.unwrap(), 4);
    let (_, rooms) = reader.readv(vec![Vec::with_capacity(3), Vec::with_capacity(5)]).await;
    assert_eq!(rooms.concat(), b"abcd");
    writer.write_all("as it comes").await.0.unwrap();
    assert_eq!(&*reader.read_stream().next().await.unwrap().unwrap(), b"as it comes");

    let (client, server) = pair().await;
    client.set_zero_copy(annulus::net::ZeroCopy::Always);
    let (result, released) = client.write_all_zc(bytes(2, 20_000)).await;
    assert_eq!(result.unwrap(), 20_000);
    assert_same(&server.read_exact(vec![0; 20_000]).await.1, &released.await);
    client.writev_zc(vec!["several"]).await.0.unwrap();
    assert_eq!(server.read_exact(vec![0; 7]).await.1, b"several");
    let asking = spawn(async move { client.exchange("ping", Vec::with_capacity(10)).await });
    assert_eq!(server.read_exact(vec![0; 4]).await.1, b"ping");
    server.write_all("pong").await.0.unwrap();
    assert_eq!(asking.await.unwrap().2, b"pong");

    // What is no regular file is not in memory, so a thread splices it.
    let (reader, mut writer) = super::pipe::pipe();
    std::io::Write::write_all(&mut writer, b"spliced").unwrap();
    drop(writer);
    let (mut to, server) = pair().await;
    assert_eq!(annulus::io::copy(&mut File::from_std(reader), &mut to).await.unwrap(), 7);
    assert_eq!(server.read_exact(vec![0; 7]).await.1, b"spliced");

    annulus::nop().await.unwrap();
    assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
}

/// What else is done to files and their names. Leaves nothing behind.
async fn names(folder: &Path) {
    let dir = Dir::open(folder).await.unwrap();
    let file = dir.create("one").await.unwrap();
    file.write_all_at("text", 0).await.0.unwrap();
    fs::hard_link(folder.join("one"), folder.join("two")).await.unwrap();
    fs::symlink("two", folder.join("three")).await.unwrap();
    assert_eq!(fs::read_link(folder.join("three")).await.unwrap(), Path::new("two"));
    assert_eq!(fs::canonicalize(folder.join("three")).await.unwrap().file_name().unwrap(), "two");
    fs::set_permissions(folder.join("one"), std::fs::Permissions::from_mode(0o600)).await.unwrap();
    file.set_times(FileTimes::new().set_modified(std::time::UNIX_EPOCH)).await.unwrap();
    // Not every file system can do these two.
    let _ = file.allocate(0, 100).await;
    if file.set_xattr("user.colour", "blue").await.is_ok() {
        assert_eq!(file.xattr("user.colour").await.unwrap().unwrap(), b"blue");
        assert!(!file.xattrs().await.unwrap().is_empty());
        assert!(file.remove_xattr("user.colour").await.unwrap());
    } else {
        let _ = file.xattr("user.colour").await;
    }
    if fs::set_xattr(folder.join("one"), "user.size", "L").await.is_ok() {
        assert_eq!(fs::xattr(folder.join("one"), "user.size").await.unwrap().unwrap(), b"L");
        assert!(!fs::xattrs(folder.join("one")).await.unwrap().is_empty());
        assert!(fs::remove_xattr(folder.join("one"), "user.size").await.unwrap());
    } else {
        let _ = fs::xattr(folder.join("one"), "user.size").await;
    }
    file.chown(None, None).await.unwrap();
    file.sync_range(0, 4).await.unwrap();
    file.advise(0, 4, Advice::WillNeed).await.unwrap();
    assert_eq!(file.seek(SeekFrom::Start(1)).await.unwrap(), 1);
    assert!(file.try_lock().await.unwrap());
    assert_eq!(
        fs::copy(folder.join("one"), folder.join("four")).await.unwrap(),
        file.metadata().await.unwrap().len()
    );
    let confined = dir.confined();
    confined.open_file("one").await.unwrap();
    let mut entries = confined.read_dir().await.unwrap();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        confined.remove_file(entry.file_name()).await.unwrap();
    }
}

async fn unix() {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("door")).await.unwrap();
    let client = UnixStream::connect_addr(&listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    client.write_all("hello").await.0.unwrap();
    assert_eq!(server.read_exact(Vec::with_capacity(5)).await.1, b"hello");
    client.close().await.unwrap();
    assert_eq!(server.read(Vec::with_capacity(5)).await.0.unwrap(), 0);

    let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    let one = AsyncFd::new(one).unwrap();
    assert!(timeout(Duration::from_millis(1), one.readable()).await.is_err());
    other.write_all(b"hello").unwrap();
    let mut room = [0; 8];
    assert_eq!(one.async_io(Interest::READABLE, |mut one| one.read(&mut room)).await.unwrap(), 5);
}

async fn leases() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut incoming = listener.incoming();
    for _ in 0..2 {
        let client = TcpStream::connect(address).await.unwrap();
        let (server, _) = incoming.next().await.unwrap().unwrap();
        client.write_all("one by one").await.0.unwrap();
        assert_eq!(server.recv().await.unwrap(), "one by one");
        let mut leases = server.recv_stream();
        for _ in 0..3 {
            client.write_all("again and again").await.0.unwrap();
            assert_eq!(leases.next().await.unwrap().unwrap(), "again and again");
        }
        drop(client);
        assert!(leases.next().await.is_none());
    }
    let server = annulus::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut datagrams = server.recv_stream();
    for _ in 0..2 {
        server.send_to("to itself", server.local_addr().unwrap()).await.0.unwrap();
        assert_eq!(datagrams.next().await.unwrap().unwrap().0, "to itself");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "in a file").await.0.unwrap();
    assert_eq!(File::open(&path).await.unwrap().read_lease(3).await.unwrap(), "a file");
}
