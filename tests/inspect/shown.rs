//! What a snapshot says.

use std::future::pending;
use std::time::Duration;

use annulus::net::TcpListener;
use annulus::task::Priority;
use annulus::time::sleep;
use annulus::{Builder, spawn, yield_now};
use serde_json::{Value, json};

use crate::client::*;

fn row<'a>(snapshot: &'a Value, name: &str) -> &'a Value {
    let rows = snapshot["tasks"]["rows"].as_array().unwrap();
    let found = rows.iter().find(|row| row["name"].as_str() == Some(name));
    found.unwrap_or_else(|| panic!("{name} is not shown: {snapshot}"))
}

pub(crate) fn a_snapshot_tells_each_task_and_what_it_waits_for(builder: Builder) {
    let inspector = inspector();
    let program = Program::start(&builder, || async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        named("accepting", async move { drop(listener.accept().await) });
        named("sleeping", sleep(Duration::from_secs(3600)));
        let joined = annulus::task::Builder::new().name("joined").spawn(pending::<()>());
        named("joining", async move { drop(joined.await) });
        let urgent = annulus::task::Builder::new().name("urgent").priority(Priority::High);
        drop(urgent.spawn(pending::<()>()));
        yield_now().await;
    });
    let snapshot = program.snapshot(&inspector, "");
    for row in snapshot["tasks"]["rows"].as_array().unwrap() {
        assert_eq!(row["loop"], program.number(&inspector));
        assert!(row["spawned_at"].as_str().unwrap().contains("inspect/"), "{row}");
        assert_eq!(row["state"], "waiting", "{row}");
        assert!(row["polls"].as_u64().unwrap() >= 1 && row["busy_ns"].is_u64() && row["age_ms"].is_u64());
    }
    let accepting = row(&snapshot, "accepting");
    let wait = &accepting["waits"][0];
    assert_eq!((&wait["kind"], &wait["operation"]), (&json!("operation"), &json!("accept")), "{accepting}");
    assert!(wait["descriptor"].as_i64().unwrap() >= 0 && wait["age_ms"].is_u64());
    assert_eq!(accepting["priority"], "normal");
    assert_eq!(accepting["stoppable"], true);
    let wait = &row(&snapshot, "sleeping")["waits"][0];
    assert_eq!(wait["kind"], "timer");
    assert!((3_000_000..=3_600_000).contains(&wait["left_ms"].as_u64().unwrap()), "{wait}");
    let wait = &row(&snapshot, "joining")["waits"];
    assert_eq!(*wait, json!([{ "kind": "task", "task": row(&snapshot, "joined")["id"] }]));
    assert_eq!(row(&snapshot, "joined")["waits"], json!([]));
    assert_eq!(row(&snapshot, "urgent")["priority"], "high");
    assert!(snapshot["tasks"]["total"].as_u64().unwrap() >= snapshot["tasks"]["matched"].as_u64().unwrap());
    // The future that was given to run, and the five.
    assert_eq!(snapshot["tasks"]["matched"], 6);
}

pub(crate) fn a_snapshot_has_the_loops_numbers_and_histograms(builder: Builder) {
    let inspector = inspector();
    let program = Program::start(&builder, || async {
        for _ in 0..2000 {
            spawn(async {}).await.unwrap();
            annulus::nop().await.unwrap();
        }
        named("left", pending::<()>());
    });
    let snapshot = program.snapshot(&inspector, "");
    let process = &snapshot["process"];
    assert_eq!(process["pid"], std::process::id());
    assert!(process["program"].as_str().unwrap().starts_with("inspect"), "{process}");
    assert!(process["time_ms"].as_u64().unwrap() > 1_700_000_000_000 && process["uptime_ms"].is_u64());
    let seen = program.find(&snapshot).unwrap();
    until(|| Some(program.seen(&inspector)).filter(|told| told["state"] == "waiting"));
    assert_eq!((&seen["stalled_ms"], &seen["stall"]), (&json!(0), &Value::Null));
    assert!(seen["age_ms"].as_u64().unwrap() < 1000, "{seen}");
    let metrics = &seen["metrics"];
    assert!(
        metrics["polls"].as_u64().unwrap() > 4000 && metrics["spawned"].as_u64().unwrap() >= 2002,
        "{metrics}"
    );
    assert_eq!(metrics["alive"], 2);
    assert!(metrics["batches"].is_null(), "histograms are elsewhere");
    for (name, unit) in
        [("poll_time", "ns"), ("wake_to_poll", "ns"), ("batches", "tasks"), ("depths", "operations")]
    {
        let histogram = &seen["histograms"][name];
        assert_eq!(histogram["unit"], unit);
        let buckets = histogram["buckets"].as_array().unwrap();
        let counted: u64 = buckets.iter().map(|bucket| bucket[2].as_u64().unwrap()).sum();
        assert_eq!(histogram["count"], counted, "{name}: {histogram}");
    }
    assert!(
        seen["histograms"]["poll_time"]["p99"].as_u64() >= seen["histograms"]["poll_time"]["p50"].as_u64()
    );
    let operations = seen["operations"].as_array().unwrap();
    let nop =
        operations.iter().find(|one| one["operation"] == "nop").unwrap_or_else(|| panic!("{operations:?}"));
    assert!(nop["completed"].as_u64().unwrap() > 0 && nop["time"]["unit"] == "ns" && nop["errors"] == 0);
    match seen["driver"].as_str().unwrap() {
        "uring" => assert!(seen["ring"]["entries"].as_u64().unwrap() >= 16, "{seen}"),
        _ => assert!(seen["ring"].is_null(), "{seen}"),
    }
}

pub(crate) fn operations_in_flight_are_listed_with_the_oldest_first(builder: Builder) {
    let inspector = inspector();
    let program = Program::start(&builder, || async {
        for _ in 0..3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            named("accepting", async move { drop(listener.accept().await) });
            sleep(Duration::from_millis(30)).await;
        }
    });
    let in_flight = program.snapshot(&inspector, "limit=2&sort=name").get("in_flight").unwrap().clone();
    let rows = in_flight["rows"].as_array().unwrap();
    assert!(in_flight["total"].as_u64().unwrap() >= 3 && rows.len() == 2, "{in_flight}");
    assert!(rows[0]["age_ms"].as_u64() > rows[1]["age_ms"].as_u64(), "{in_flight}");
    let accepts: Vec<_> = rows.iter().filter(|row| row["operation"] == "accept").collect();
    assert_eq!(accepts.len(), 2, "{in_flight}");
    assert!(
        accepts
            .iter()
            .all(|row| row["task"].is_u64() && row["descriptor"].is_i64() && row["orphan"] == false)
    );
}

pub(crate) fn tasks_are_sorted_by_what_is_asked_for(builder: Builder) {
    let inspector = inspector();
    let program = Program::start(&builder, || async {
        for (name, polls) in [("b", 30), ("c", 10), ("a", 20)] {
            named(name, async move {
                for _ in 1..polls {
                    yield_now().await;
                }
                pending::<()>().await;
            });
        }
        for _ in 0..40 {
            yield_now().await;
        }
    });
    let sorted = |query: &str| {
        let snapshot = program.snapshot(&inspector, query);
        let names: Vec<_> = names(&snapshot).into_iter().filter(|name| !name.is_empty()).collect();
        names.join("")
    };
    assert_eq!(sorted("sort=name"), "abc");
    assert_eq!(sorted("sort=name&order=desc"), "cba");
    assert_eq!(sorted("sort=polls"), "cab");
    assert_eq!(sorted("sort=polls&order=desc"), "bac");
    assert_eq!(sorted("sort=id"), "bca");
    assert_eq!(sorted("sort=age"), "bca", "as old as the clock knows: then by their numbers");
    for key in ["spawned_at", "state", "busy", "waiting"] {
        assert_eq!(sorted(&format!("sort={key}&order=desc")).len(), 3);
    }
    // Those without a name are behind, whichever way it goes.
    for order in ["asc", "desc"] {
        let snapshot = program.snapshot(&inspector, &format!("sort=name&order={order}"));
        assert_eq!(names(&snapshot).last(), Some(&""));
    }
}

pub(crate) fn a_filter_finds_names_places_numbers_and_operations(builder: Builder) {
    let inspector = inspector();
    let program = Program::start(&builder, || async {
        named("Tea Time", sleep(Duration::from_secs(3600)));
        named("coffee", pending::<()>());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        named("milk", async move { drop(listener.accept().await) });
        yield_now().await;
    });
    let found = |query: &str| {
        let snapshot = program.snapshot(&inspector, query);
        assert_eq!(snapshot["tasks"]["matched"], names(&snapshot).len());
        names(&snapshot).join(",")
    };
    assert_eq!(found("filter=tea+tIME"), "Tea Time");
    assert_eq!(found("filter=timer"), "Tea Time");
    assert_eq!(found("filter=accept"), "milk");
    assert_eq!(found("filter=no%20such"), "");
    assert_eq!(found("filter=inspect/client.rs"), ",Tea Time,coffee,milk");
    let id = program.snapshot(&inspector, "filter=coffee")["tasks"]["rows"][0]["id"].clone();
    assert_eq!(found(&format!("filter={id}&state=waiting")), "coffee");
    assert_eq!(found("state=running"), "");
    // Of another loop there is none of them.
    assert_eq!(names(&snapshot(&inspector, "loop=18446744073709551615&filter=coffee")), [""; 0]);
}

pub(crate) fn pages_of_a_table_fit_together(builder: Builder) {
    let inspector = inspector();
    let program = Program::start(&builder, || async {
        (0..25).for_each(|number| named(format!("paged-{number:02}"), pending::<()>()));
        yield_now().await;
    });
    let mut seen = Vec::new();
    for offset in [0, 10, 20, 30] {
        // All the same by their state: so their order is by their numbers.
        let query = format!("filter=paged&sort=state&order=desc&limit=10&offset={offset}");
        let page = program.snapshot(&inspector, &query);
        assert_eq!(page["tasks"]["matched"], 25);
        seen.extend(names(&page).iter().map(|name| (*name).to_owned()));
    }
    let wanted: Vec<_> = (0..25).map(|number| format!("paged-{number:02}")).collect();
    assert_eq!(seen, wanted);
    let none = program.snapshot(&inspector, "filter=paged&limit=0");
    assert_eq!((none["tasks"]["matched"].as_u64(), names(&none).len()), (Some(25), 0));
}

pub(crate) fn an_abort_stops_that_task_and_no_other(builder: Builder) {
    let inspector = inspector();
    let program = Program::start(&builder, || async {
        (0..3).for_each(|number| named(format!("to-stop-{number}"), pending::<()>()));
        yield_now().await;
    });
    let before = program.snapshot(&inspector, "filter=to-stop");
    assert_eq!(names(&before), ["to-stop-0", "to-stop-1", "to-stop-2"]);
    let (number, id) = (program.number(&inspector), &before["tasks"]["rows"][1]["id"]);
    let path = format!("POST /api/loops/{number}/tasks/{id}/abort");
    let asked = |path: &str| ask(&inspector, path, &["host: localhost", "x-annulus: 1", "content-length: 0"]);

    let refused = ask(&inspector, &path, &["host: localhost", "content-length: 0"]);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.error().contains("X-Annulus: 1"));
    assert_eq!(names(&program.snapshot(&inspector, "filter=to-stop")).len(), 3, "it was not done");

    let reply = asked(&path);
    assert_eq!((reply.status, reply.json()), (200, json!({ "aborted": true })));
    until(|| {
        let after = program.snapshot(&inspector, "filter=to-stop");
        (names(&after) == ["to-stop-0", "to-stop-2"]).then_some(())
    });
    assert_eq!(asked(&path).json(), json!({ "aborted": false }), "it is gone");
    let root = &program.snapshot(&inspector, "sort=id")["tasks"]["rows"][0];
    assert_eq!((&root["stoppable"], &root["name"]), (&json!(false), &Value::Null), "{root}");
    let reply = asked(&format!("POST /api/loops/{number}/tasks/{}/abort", root["id"]));
    assert_eq!(reply.json(), json!({ "aborted": false }), "it is its caller's");
    let elsewhere = asked(&format!("POST /api/loops/{}/tasks/{id}/abort", u64::MAX));
    assert_eq!(elsewhere.status, 404);
    assert!(elsewhere.error().contains("/api/snapshot"));
}
