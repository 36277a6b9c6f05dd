//! smoke
use annulus::net::*;
use annulus::{Builder, Driver};
use std::time::Duration;

fn body(driver: Driver) {
    let rt = Builder::new().driver(driver).build().unwrap();
    println!("{}", rt.driver());
    rt.run(async {
        annulus::nop().await.unwrap();
        println!("nop");
        annulus::time::sleep(Duration::from_millis(5)).await;
        println!("slept");
        let l = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("bound");
        let c = annulus::spawn(TcpStream::connect(l.local_addr().unwrap()));
        let (s, _) = l.accept().await.unwrap();
        println!("accepted");
        let c = c.await.unwrap().unwrap();
        c.write_all("hello").await.0.unwrap();
        let (r, b) = s.read(Vec::with_capacity(10)).await;
        assert_eq!(r.unwrap(), 5);
        assert_eq!(b, b"hello");
        assert!(
            annulus::time::timeout(Duration::from_millis(5), s.read(Vec::with_capacity(10))).await.is_err()
        );
        c.write_all("later").await.0.unwrap();
        let (_, b) = s.read(Vec::with_capacity(10)).await;
        assert_eq!(b, b"later");
        drop(c);
        let (r, _) = s.read(Vec::with_capacity(10)).await;
        assert_eq!(r.unwrap(), 0);
        let v = annulus::spawn_blocking(|| 5).await.unwrap();
        assert_eq!(v, 5);
        std::fs::write("/tmp/smoke-x", "text").unwrap();
        let m = annulus::fs::read("/tmp/smoke-x").await.unwrap();
        assert_eq!(m, b"text");
    })
    .unwrap();
    println!("{:?}", rt.metrics());
}
#[test]
fn uring() {
    body(Driver::Uring)
}
#[test]
fn readiness() {
    body(Driver::Readiness)
}
