//! Pipes, page by page.

use super::*;

fn pipe(world: &mut World) -> (SocketId, SocketId) {
    let here = world.here;
    world.network.pipe(here)
}

#[test]
fn a_pipe_has_two_ends_that_see_each_other_go() {
    let mut world = World::new(1);
    let (reader, writer) = pipe(&mut world);
    assert_eq!((world.ready(reader), world.ready(writer)), (0, OUT));
    assert_eq!(world.receive(reader, 1), Err(libc::EAGAIN));
    assert_eq!(world.receive(reader, 0), Ok(vec![]));
    assert_eq!(world.receive(writer, 1), Err(libc::EBADF));
    assert_eq!(world.send(reader, b"x"), Err(libc::EBADF));
    assert_eq!(world.send(writer, b""), Ok(0));
    assert_eq!(world.listen(reader, 1), Err(libc::ENOTSOCK));
    world.send(writer, b"x").unwrap();
    assert_eq!((world.ready(reader), world.ready(writer)), (IN, OUT));
    world.woken.clear();
    world.close(writer);
    assert_eq!(world.woken, [reader]);
    assert_eq!(world.ready(reader), IN | HUP);
    assert_eq!(world.receive(reader, 9).unwrap(), b"x");
    assert_eq!(world.ready(reader), HUP);
    assert_eq!(world.receive(reader, 9), Ok(vec![]));
    let (gone, broken) = pipe(&mut world);
    world.close(gone);
    assert_eq!(world.ready(broken), OUT | ERR);
    assert_eq!(world.send(broken, b"x"), Err(libc::EPIPE));
    assert_eq!(world.send(broken, b""), Ok(0));
    world.ends_empty(&[reader, broken]);
}

#[test]
fn a_pipe_is_full_when_a_real_one_is() {
    for (size, takes) in [(1, 65536), (4096, 65536), (5000, 54096), (100_000, 65536)] {
        let mut world = World::new(1);
        let (_, writer) = pipe(&mut world);
        assert_eq!(world.fill(writer, size), takes, "by {size}");
        assert_eq!(world.ready(writer), 0);
    }
}

#[test]
fn up_to_a_page_is_written_as_a_whole_or_not_at_all() {
    let mut world = World::new(1);
    let (reader, writer) = pipe(&mut world);
    world.send(writer, &[1; 65536]).unwrap();
    world.receive(reader, 4095).unwrap();
    for size in [10, 4096, 4097] {
        assert_eq!(world.send(writer, &vec![2; size]), Err(libc::EAGAIN), "a page is free when all was read");
    }
    world.receive(reader, 1).unwrap();
    assert_eq!(world.send(writer, &[2; 5000]), Ok(4096));
    let (_, writer) = pipe(&mut world);
    world.send(writer, &[1; 61441]).unwrap();
    assert_eq!(world.ready(writer), 0);
    assert_eq!(world.send(writer, &[2; 4096]), Err(libc::EAGAIN));
    assert_eq!(world.send(writer, &[2; 5000]), Ok(904), "what is over goes into the last page");
    assert_eq!(world.send(writer, &[2; 100]), Ok(100));
}
