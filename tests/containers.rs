//! What containers have less of: calls, locked memory, processors, places to write. The main things of the crate work there all the same, on
//! each driver that is to be had, and the report says what is missing.
//!
//! Each test is a process of its own. Beside these: tests/seccomp.rs has docs/seccomp.json, which permits the ring; tests/quota.rs a control
//! group with one processor's worth of time; tests/limits.rs smaller limits; tests/container.sh a container of runc's.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod support;

use std::ffi::CString;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use annulus::fs::{self, File, RegisteredBuffers};
use annulus::net::{TcpListener, TcpStream, UdpSocket};
use annulus::report::Standing;
use annulus::time::{sleep, timeout};
use annulus::topology::Topology;
use annulus::{Builder, Driver, spawn, spawn_blocking};
use seccompiler::{BpfProgram, TargetArch};
use serde_json::{Value, json};
use support::child::{alone, name};
use support::everything::everything;
use support::limits::{is_root, lower};
use support::on_real_drivers;

on_real_drivers! {
    because "policies, limits, processors and mounts are the machine's":
        under_dockers_default_policy_everything_works_and_the_ring_is_refused_with_the_remedy,
        with_64_kib_of_locked_memory_everything_works,
        on_one_processor_everything_works,
        where_nothing_can_be_written_all_else_works;
}

/// What Docker's default policy does not permit a container without capabilities, as <https://github.com/moby/profiles> lists what it permits.
const NOT_PERMITTED: &[&str] = &[
    // The ring.
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    // Mounts, namespaces, other processes' descriptors and memory.
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "pivot_root",
    "setns",
    "unshare",
    "pidfd_getfd",
    "process_madvise",
    "kcmp",
    "open_by_handle_at",
    "userfaultfd",
    // Keys, tracing, memory's places.
    "add_key",
    "request_key",
    "keyctl",
    "bpf",
    "perf_event_open",
    "fanotify_init",
    "lookup_dcookie",
    "get_mempolicy",
    "mbind",
    "set_mempolicy",
    "migrate_pages",
    "move_pages",
    // The machine.
    "acct",
    "clock_settime",
    "settimeofday",
    "delete_module",
    "finit_module",
    "init_module",
    "ioperm",
    "iopl",
    "kexec_load",
    "kexec_file_load",
    "quotactl",
    "reboot",
    "sethostname",
    "setdomainname",
    "swapon",
    "swapoff",
    "syslog",
    "vhangup",
    "uselib",
    "ustat",
    "sysfs",
];

fn compile(refused: Vec<Value>, errno: i32) -> Result<BpfProgram, seccompiler::Error> {
    let architecture: TargetArch = std::env::consts::ARCH.try_into().expect("one that filters are made for");
    let filter =
        json!({"main": {"match_action": {"errno": errno}, "mismatch_action": "allow", "filter": refused}});
    let programs = seccompiler::compile_from_json(filter.to_string().as_bytes(), architecture)?;
    Ok(programs.into_values().next().expect("the one filter"))
}

/// That policy, for this thread and all that it starts.
fn obey_dockers_policy() {
    // What another architecture alone has is passed over.
    let is_known = |call: &&&str| compile(vec![json!({"syscall": call})], libc::EPERM).is_ok();
    let mut refused: Vec<_> =
        NOT_PERMITTED.iter().filter(is_known).map(|call| json!({"syscall": call})).collect();
    assert!(refused.len() > 40, "{} are known here", refused.len());
    // Each flag of clone(2) that makes a namespace, and the families of sockets that are left out.
    let namespaces = [17, 25, 26, 27, 28, 29, 30].map(|bit| 1_u64 << bit);
    refused.extend(namespaces.map(|flag| {
        json!({"syscall": "clone", "args": [{"index": 0, "type": "qword", "op": {"masked_eq": flag}, "val": flag}]})
    }));
    refused.extend([libc::AF_ALG, libc::AF_VSOCK].map(|family| {
        json!({"syscall": "socket", "args": [{"index": 0, "type": "dword", "op": "eq", "val": family}]})
    }));
    let policies = [compile(refused, libc::EPERM), compile(vec![json!({"syscall": "clone3"})], libc::ENOSYS)];
    for policy in policies {
        seccompiler::apply_filter(&policy.unwrap()).unwrap();
    }
}

/// Runs everything, and some children.
fn everything_and_children(builder: &Builder) {
    let run = builder.clone().build().unwrap().run(async {
        everything().await;
        let output =
            annulus::process::Command::new("sh").args(["-c", "echo hello | cat"]).output().await.unwrap();
        assert_eq!(output.stdout, b"hello\n");
    });
    run.unwrap();
}

fn under_dockers_default_policy_everything_works_and_the_ring_is_refused_with_the_remedy(builder: Builder) {
    alone(|| {
        let asked_for = builder.clone().build().unwrap().driver();
        obey_dockers_policy();
        // SAFETY: no memory is passed.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, -1, "the policy is in force");
        if asked_for == "uring" {
            let error = builder.clone().build().unwrap_err().to_string();
            assert!(error.contains("io_uring_setup") && error.contains("seccomp"), "{error}");
            let report = Builder::new().driver(Driver::Auto).report();
            let policy = report.fact("seccomp").unwrap();
            assert_eq!(policy.standing(), Standing::Missing, "{report}");
            assert!(policy.remedy().unwrap().contains("docs/seccomp.json"), "{policy:?}");
        }
        // In a container nobody asks for a driver.
        let builder = if asked_for == "uring" { Builder::new().driver(Driver::Auto) } else { builder };
        assert_eq!(builder.report().driver(), Some("readiness"));
        everything_and_children(&builder);
    });
}

/// Root may lock what it likes, so it becomes a user who is nobody else: whose rings and buffers count, and nobody's with them.
fn let_64_kib_be_locked() {
    lower!(libc::RLIMIT_MEMLOCK, 64 << 10);
    if is_root() {
        let user = 3_100_000_000 + std::process::id();
        // SAFETY: no memory is passed, here and below. All threads of the process follow.
        assert_eq!(unsafe { libc::setgid(user) }, 0, "{}", io::Error::last_os_error());
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setuid(user) }, 0, "{}", io::Error::last_os_error());
    }
    assert!(!is_root());
}

fn with_64_kib_of_locked_memory_everything_works(builder: Builder) {
    alone(|| {
        let_64_kib_be_locked();
        // Where rings count, the usual one may be too large: then it is refused with the remedy, and Auto does without.
        let builder = match builder.clone().build() {
            Ok(_) => builder,
            Err(refused) => {
                assert!(refused.to_string().contains("ulimit -l"), "{refused}");
                Builder::new().driver(Driver::Auto)
            }
        };
        everything_and_children(&builder);
        let registered = builder.clone().build().unwrap().run(async {
            // Far beyond what may be locked: they are ordinary memory then, and work.
            let pool = RegisteredBuffers::new(64, 64 << 10).unwrap();
            let file = File::open(std::env::current_exe().unwrap()).await.unwrap();
            let (read, buffer) = file.read_at(pool.get().await, 0).await;
            assert_eq!((read.unwrap(), &buffer[1..4]), (64 << 10, &b"ELF"[..]));
        });
        registered.unwrap();
        let report = builder.report();
        let limit = report.fact("RLIMIT_MEMLOCK").unwrap();
        assert!(limit.remedy().unwrap().contains("memlock"), "{limit:?}");
    });
}

fn on_one_processor_everything_works(builder: Builder) {
    alone(|| {
        let allowed = rustix::thread::sched_getaffinity(None).unwrap();
        let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap();
        let mut one = rustix::thread::CpuSet::new();
        one.set(first);
        rustix::thread::sched_setaffinity(None, &one).unwrap();
        assert_eq!(Topology::read().loops(), 1);
        everything_and_children(&builder);
        let builder = std::sync::Mutex::new(builder);
        let shards = annulus::launch()
            .runtime(move |_, _| builder.lock().unwrap().clone())
            .run(|_| async move {
                main_things().await;
                io::Result::Ok(())
            })
            .unwrap();
        assert_eq!(shards.len(), 1);
    });
}

/// What a program does whose container has nothing to write to.
async fn main_things() {
    timeout(Duration::from_secs(20), async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, text) = stream.read_exact(vec![0; 5]).await;
            read.unwrap();
            stream.write_all(text).await.0.unwrap();
        });
        let client = TcpStream::connect(address).await.unwrap();
        client.write_all("hello").await.0.unwrap();
        assert_eq!(client.read_exact(vec![0; 5]).await.1, b"hello");
        serving.await.unwrap();

        let (one, other) =
            (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
        one.send_to("ping", other.local_addr().unwrap()).await.0.unwrap();
        let (received, text) = other.recv_from(Vec::with_capacity(8)).await;
        assert_eq!((received.unwrap().from, &text[..]), (one.local_addr().unwrap(), &b"ping"[..]));

        let begun = Instant::now();
        sleep(Duration::from_millis(5)).await;
        assert!(begun.elapsed() >= Duration::from_millis(5));
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);

        let program = fs::read(std::env::current_exe().unwrap()).await.unwrap();
        assert_eq!(program[1..4], *b"ELF");
        // Memory can be written to everywhere.
        let memory = rustix::fs::memfd_create("annulus", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let memory = File::from_std(std::fs::File::from(memory));
        memory.write_all_at("kept", 100).await.0.unwrap();
        assert_eq!(memory.read_exact_at(vec![0; 4], 100).await.1, b"kept");
    })
    .await
    .expect("an answer to each");
}

/// Where everything is mounted, from the last to the first.
fn mounts() -> Vec<CString> {
    let table = std::fs::read("/proc/self/mountinfo").unwrap();
    let place = |line: &[u8]| {
        let escaped = String::from_utf8(line.split(|byte| *byte == b' ').nth(4)?.to_vec()).ok()?;
        // A space is \040 there, and so on.
        let mut parts = escaped.split('\\');
        let mut bytes = parts.next()?.as_bytes().to_vec();
        for part in parts {
            bytes.push(u8::from_str_radix(part.get(..3)?, 8).ok()?);
            bytes.extend(&part.as_bytes()[3..]);
        }
        CString::new(bytes).ok()
    };
    let mut all: Vec<_> = table.split(|byte| *byte == b'\n').filter_map(place).collect();
    all.reverse();
    all
}

/// For this thread and those that it starts nothing is written to any more, wherever it is mounted.
fn have_everything_read_only() -> io::Result<()> {
    let checked = |answer: i32| if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    let none = std::ptr::null();
    // SAFETY: no memory is passed.
    checked(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    // SAFETY: C strings, here and below, for the time of the call.
    checked(unsafe { libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) })?;
    for place in mounts() {
        let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
        // SAFETY: as above.
        let answer = checked(unsafe { libc::mount(none, place.as_ptr(), none, flags, none.cast()) });
        // One that lies under another is out of reach, for everybody.
        match answer {
            Err(error)
                if !matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT | libc::EACCES)) =>
            {
                return Err(io::Error::new(error.kind(), format!("{place:?}: {error}")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn where_nothing_can_be_written_all_else_works(builder: Builder) {
    alone(|| {
        let driver = builder.clone().build().unwrap().driver();
        if let Err(error) = have_everything_read_only() {
            return support::skipped(&name(), &format!("a namespace of mounts needs root: {error}"));
        }
        let run = builder.clone().build().unwrap().run(async {
            main_things().await;
            for folder in [std::env::temp_dir(), "/dev/shm".into(), "/var/tmp".into()] {
                if !folder.is_dir() {
                    continue;
                }
                let path = folder.join(format!("annulus-{}", std::process::id()));
                assert_eq!(
                    fs::write(&path, "text").await.0.unwrap_err().kind(),
                    io::ErrorKind::ReadOnlyFilesystem,
                    "{path:?}"
                );
                assert!(!Path::new(&path).exists());
            }
        });
        run.unwrap();
        assert_eq!(builder.report().driver(), Some(driver));
    });
}
