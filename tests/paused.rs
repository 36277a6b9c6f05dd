//! What a loop's clock promises while it is paused, on the drivers of a real kernel.

mod support;

use std::time::{Duration, Instant};

use annulus::net::{TcpListener, TcpStream};
use annulus::time::{self, advance, interval, pause, resume, sleep, timeout};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

support::on_every_driver! {
    a_day_of_sleeps_takes_no_time,
    timers_fire_in_their_order,
    what_completes_comes_before_what_is_far_off,
    what_another_thread_is_at_comes_before_what_is_far_off,
    a_time_out_of_what_never_comes_ends_at_once,
    advancing_fires_what_is_due_and_nothing_else,
    a_blocking_closure_holds_the_clock,
    the_time_of_day_goes_with_it,
    a_resumed_clock_goes_on_from_where_it_stands,
    pausing_twice_is_pausing,
}

async fn a_day_of_sleeps_takes_no_time() {
    let begun = Instant::now();
    pause();
    let before = time::now();
    for _ in 0..24 {
        sleep(HOUR).await;
    }
    let slept = time::now() - before;
    assert!(slept >= 24 * HOUR && slept < 24 * HOUR + SECOND, "{slept:?}");
    assert!(begun.elapsed() < HOUR / 60);
}

async fn timers_fire_in_their_order() {
    pause();
    let order = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let tasks: Vec<_> = [5, 1, 4, 2, 3]
        .map(|hours| {
            let order = std::rc::Rc::clone(&order);
            annulus::spawn(async move {
                sleep(HOUR * hours).await;
                order.borrow_mut().push(hours);
            })
        })
        .into();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.borrow(), [1, 2, 3, 4, 5]);
}

async fn what_completes_comes_before_what_is_far_off() {
    pause();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let echo = annulus::spawn(async move {
        for _ in 0..100 {
            let (result, bytes) = server.read_exact(vec![0; 4]).await;
            result.unwrap();
            server.write_all(bytes).await.0.unwrap();
        }
    });
    for _ in 0..100 {
        client.write_all("word").await.0.unwrap();
        let heard = timeout(HOUR, client.read_exact(vec![0; 4])).await;
        heard.expect("the answer is on its way, and the hour is not over").0.unwrap();
    }
    echo.await.unwrap();
}

async fn what_another_thread_is_at_comes_before_what_is_far_off() {
    pause();
    for _ in 0..50 {
        // Done by a thread of the kernel's, or by a helper.
        let asked = timeout(HOUR, annulus::fs::metadata("/tmp")).await;
        assert!(asked.expect("the hour is not over").unwrap().is_dir());
    }
}

async fn a_time_out_of_what_never_comes_ends_at_once() {
    let begun = Instant::now();
    pause();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert!(timeout(HOUR, listener.accept()).await.is_err());
    assert_eq!(listener.accept().timeout(HOUR).await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert!(begun.elapsed() < HOUR / 60);
}

async fn advancing_fires_what_is_due_and_nothing_else() {
    pause();
    let mut beat = interval(10 * SECOND);
    beat.tick().await;
    let (soon, late) = (annulus::spawn(sleep(3 * SECOND)), annulus::spawn(sleep(7 * SECOND)));
    advance(3 * SECOND).await;
    assert!(soon.is_finished() && !late.is_finished());
    advance(4 * SECOND).await;
    assert!(late.is_finished());
    assert!(timeout(2 * SECOND, beat.tick()).await.is_err(), "nine seconds of ten");
    beat.tick().await;
}

async fn a_blocking_closure_holds_the_clock() {
    pause();
    let job = annulus::spawn_blocking(|| std::thread::sleep(Duration::from_millis(30)));
    // The hour is not over while the closure is at work.
    timeout(HOUR, job).await.expect("no time passes meanwhile").unwrap();
}

async fn the_time_of_day_goes_with_it() {
    pause();
    let before = time::wall_clock();
    sleep(HOUR).await;
    let passed = time::wall_clock().duration_since(before).unwrap();
    assert!(passed >= HOUR && passed < HOUR + SECOND, "{passed:?}");
}

async fn a_resumed_clock_goes_on_from_where_it_stands() {
    pause();
    sleep(HOUR).await;
    let stood = time::now();
    resume();
    let after = time::now();
    assert!(after >= stood && after < stood + 60 * SECOND);
    sleep(Duration::from_millis(5)).await;
    assert!(time::now() - stood >= Duration::from_millis(5));
    pause();
    assert!(time::now() >= after, "it never goes back");
}

async fn pausing_twice_is_pausing() {
    pause();
    pause();
    let before = time::now();
    sleep(HOUR).await;
    assert!(time::now() - before >= HOUR);
}
