//! What tokio-console is told of the program, asked by its own protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use console_api::field::{Name, Value};
use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::{InstrumentRequest, Update};
use console_api::resources::resource::kind::{Kind, Known};
use console_api::{Attribute, Field};

const PATIENCE: Duration = Duration::from_secs(60);

/// Ended with the test, however that ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All that was told so far.
#[derive(Debug, Default)]
struct Seen {
    /// By their numbers: name, kind, file, whether they have ended.
    tasks: BTreeMap<u64, Task>,
    /// Concrete type and kind.
    resources: BTreeMap<u64, (String, String)>,
    parents: BTreeMap<u64, u64>,
    /// Source, and the resource.
    operations: BTreeMap<u64, (String, u64)>,
    /// Who polled an operation.
    polled_by: BTreeMap<u64, u64>,
    attributes: BTreeMap<(u64, String), u64>,
    operation_attributes: BTreeSet<String>,
    closed_operations: usize,
    /// Name, and whether it was ready.
    poll_ops: BTreeSet<(String, bool)>,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Task {
    name: String,
    kind: String,
    file: String,
    polls: u64,
    wakes: u64,
    /// How many wakers there are.
    wakers: i64,
    has_ended: bool,
}

fn name_of(field: &Field) -> &str {
    match &field.name {
        Some(Name::StrName(name)) => name,
        other => panic!("a field's name: {other:?}"),
    }
}

fn text_of(field: &Field) -> String {
    match &field.value {
        Some(Value::StrVal(text) | Value::DebugVal(text)) => text.clone(),
        Some(Value::U64Val(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn number_of(attribute: &Attribute) -> Option<(String, u64)> {
    let field = attribute.field.as_ref()?;
    match field.value {
        Some(Value::U64Val(number)) => Some((name_of(field).to_owned(), number)),
        _ => None,
    }
}

impl Seen {
    fn add(&mut self, update: Update) {
        if let Some(update) = update.task_update {
            self.dropped += update.dropped_events;
            for task in update.new_tasks {
                let fields: BTreeMap<_, _> =
                    task.fields.iter().map(|field| (name_of(field), text_of(field))).collect();
                let get = |name: &str| fields.get(name).cloned().unwrap_or_default();
                let file = task.location.and_then(|location| location.file).unwrap_or_default();
                let seen = Task { name: get("task.name"), kind: get("kind"), file, ..Task::default() };
                assert!(fields.contains_key("loop") && fields.contains_key("size.bytes"), "{fields:?}");
                self.tasks.insert(task.id.unwrap().id, seen);
            }
            for (id, stats) in update.stats_update {
                let task = self.tasks.entry(id).or_default();
                task.polls = stats.poll_stats.map_or(0, |polls| polls.polls);
                task.wakes = stats.wakes;
                task.wakers = stats.waker_clones as i64 - stats.waker_drops as i64;
                task.has_ended = stats.dropped_at.is_some();
            }
        }
        if let Some(update) = update.resource_update {
            self.dropped += update.dropped_events;
            for resource in update.new_resources {
                let id = resource.id.unwrap().id;
                let kind = match resource.kind.unwrap().kind.unwrap() {
                    Kind::Known(known) => format!("{:?}", Known::try_from(known).unwrap()),
                    Kind::Other(kind) => kind,
                };
                self.resources.insert(id, (resource.concrete_type, kind));
                self.parents.extend(resource.parent_resource_id.map(|parent| (id, parent.id)));
            }
            for (id, stats) in update.stats_update {
                for (name, number) in stats.attributes.iter().filter_map(number_of) {
                    self.attributes.insert((id, name), number);
                }
            }
            self.poll_ops.extend(update.new_poll_ops.into_iter().map(|op| (op.name, op.is_ready)));
        }
        if let Some(update) = update.async_op_update {
            self.dropped += update.dropped_events;
            for operation in update.new_async_ops {
                let resource = operation.resource_id.expect("an operation is of a resource").id;
                self.operations.insert(operation.id.unwrap().id, (operation.source, resource));
            }
            for (id, stats) in update.stats_update {
                self.polled_by.extend(stats.task_id.map(|task| (id, task.id)));
                self.closed_operations += usize::from(stats.dropped_at.is_some());
                self.operation_attributes
                    .extend(stats.attributes.iter().filter_map(number_of).map(|(name, _)| name));
            }
        }
    }

    fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.values().find(|task| task.name == name)
    }

    fn has_resource(&self, concrete_type: &str, kind: &str) -> bool {
        self.resources.values().any(|(found, of_kind)| found == concrete_type && of_kind == kind)
    }

    /// Whether an operation of that source, of a resource of that type, was polled by the task of that name.
    fn has_operation(&self, source: &str, concrete_type: &str, task: &str) -> bool {
        self.operations.iter().any(|(id, (found, resource))| {
            let is_of = |resource: &(String, String)| resource.0 == concrete_type;
            let by = self.polled_by.get(id).and_then(|task| self.tasks.get(task));
            found == source
                && self.resources.get(resource).is_some_and(is_of)
                && by.is_some_and(|by| by.name == task)
        })
    }

    fn has_attribute(&self, concrete_type: &str, name: &str) -> bool {
        let has = |((id, attribute), number): (&(u64, String), &u64)| {
            *attribute == name
                && *number > 0
                && self.resources.get(id).is_some_and(|resource| resource.0 == concrete_type)
        };
        self.attributes.iter().any(has)
    }

    /// What the program is known to do, and is not yet seen.
    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let mut want = |what: &str, is_there: bool| {
            if !is_there {
                missing.push(what.to_owned());
            }
        };
        for name in ["clock", "journal", "digest", "client 1", "client 2", "client 3"] {
            let task = self.task(name);
            want(name, task.is_some_and(|task| task.kind == "task" && task.file.ends_with("main.rs")));
            want(
                &format!("{name} is polled and woken"),
                task.is_some_and(|task| task.polls > 1 && task.wakes > 1),
            );
        }
        // It waits nearly always, and would be taken for lost if nobody were to wake it.
        want("the clock's waker", self.task("clock").is_some_and(|task| task.wakers == 1));
        for name in ["connection 1", "connection 2", "connection 3"] {
            want(name, self.task(name).is_some());
        }
        let kinds: Vec<_> = self.tasks.values().map(|task| task.kind.as_str()).collect();
        want("the run's future", kinds.contains(&"block_on"));
        let is_over = |task: &Task| task.kind == "blocking" && task.has_ended && task.polls == 1;
        want("a closure that has ended", self.tasks.values().any(is_over));

        let ring = self.resources.iter().find(|(_, (_, kind))| kind == "ring");
        want("the ring", ring.is_some());
        want("the listener", self.has_resource("TcpListener", "listener"));
        let sockets =
            self.resources.values().filter(|(concrete_type, _)| concrete_type == "TcpStream").count();
        want("six sockets", sockets == 6);
        want("the file", self.has_resource("File", "file"));
        want("timers", self.has_resource("Sleep", "Timer"));
        let of_the_ring =
            self.parents.values().filter(|parent| ring.is_some_and(|(id, _)| id == *parent)).count();
        want("the listener, sockets and the file are the ring's", of_the_ring == 8);
        want("bytes read", self.has_attribute("TcpStream", "bytes_read"));
        want("bytes written", self.has_attribute("TcpStream", "bytes_written"));
        want("bytes of the file", self.has_attribute("File", "bytes_written"));

        want("a client's receive", self.has_operation("recv", "TcpStream", "client 1"));
        want("a write to the file", self.has_operation("write", "File", "journal"));
        want("a sync", self.has_operation("fsync", "File", "journal"));
        want("a client's pause", self.has_operation("Sleep", "Sleep", "client 2"));
        want("lengths", self.operation_attributes.contains("len"));
        want("operations that are over", self.closed_operations > 3);
        for is_ready in [false, true] {
            want(
                &format!("a poll, ready: {is_ready}"),
                self.poll_ops.contains(&("recv".to_owned(), is_ready)),
            );
        }
        missing
    }
}

#[test]
fn tokio_console_is_told_of_tasks_resources_and_operations() {
    // Free now, and hardly taken by somebody else before the program has it.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let program = Command::new(env!("CARGO_BIN_EXE_annulus-console")).arg(port.to_string()).spawn().unwrap();
    let mut program = Program(program);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seen = runtime.block_on(async {
        let until = Instant::now() + PATIENCE;
        let mut client = loop {
            match InstrumentClient::connect(format!("http://127.0.0.1:{port}")).await {
                Ok(client) => break client,
                Err(error) => assert!(Instant::now() < until, "{error:?}"),
            }
            assert_eq!(program.0.try_wait().unwrap(), None, "the program goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let mut updates = client.watch_updates(InstrumentRequest {}).await.unwrap().into_inner();
        let mut seen = Seen::default();
        while !seen.missing().is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, updates.message()).await {
                Ok(update) => seen.add(update.unwrap().expect("updates have no end")),
                Err(_) => panic!("missing: {:#?}\nof {seen:#?}", seen.missing()),
            }
        }
        seen
    });
    assert_eq!(seen.dropped, 0, "the console keeps up");
}
