//! What a client asks of the server itself.

use annulus::Runtime;

use crate::commands::{Context, Refusal};
use crate::glob;
use crate::reply;
use crate::request::{Arguments, number};

type Answer = Result<(), Refusal>;

/// What clients that look at a version are told.
const VERSION: &str = "7.0.0";

/// HELLO: which protocol is spoken. There is one.
pub fn hello(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    if arguments.len() > 1 && arguments.get(1) != b"2" {
        return Err(match number(arguments.get(1)) {
            Some(_) => "NOPROTO unsupported protocol version".into(),
            None => "ERR Protocol version is not an integer or out of range".into(),
        });
    }
    let mut rest = arguments.from(2);
    while let Some(option) = rest.next() {
        match option.eq_ignore_ascii_case(b"SETNAME") {
            true => set_name(context, rest.next().ok_or("ERR syntax error in HELLO option 'setname'")?)?,
            false => {
                let shown = option.escape_ascii();
                return Err(format!("ERR syntax error in HELLO option '{shown}': no passwords here").into());
            }
        }
    }
    let id = context.client.id as i64;
    let out = &mut *context.out;
    reply::array(out, 14);
    for (name, value) in [("server", "redis"), ("version", VERSION)] {
        reply::bulk(out, name.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
    reply::bulk(out, b"proto");
    reply::integer(out, 2);
    reply::bulk(out, b"id");
    reply::integer(out, id);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply::bulk(out, name.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
    reply::bulk(out, b"modules");
    reply::array(out, 0);
    Ok(())
}

fn set_name(context: &mut Context<'_>, name: &[u8]) -> Answer {
    if !name.iter().all(u8::is_ascii_graphic) {
        return Err("ERR Client names cannot contain spaces, newlines or special characters.".into());
    }
    context.client.name = name.to_vec();
    Ok(())
}

/// CLIENT: who is asking.
pub fn client(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let about = arguments.get(1).to_ascii_uppercase();
    match (&about[..], arguments.len()) {
        (b"SETNAME", 3) => {
            set_name(context, arguments.get(2))?;
            context.fine()
        }
        // Names of libraries: taken, and of no use here.
        (b"SETINFO", 4) => context.fine(),
        (b"GETNAME", 2) => {
            match context.client.name.is_empty() {
                true => reply::null(context.out),
                false => reply::bulk(context.out, &context.client.name),
            }
            Ok(())
        }
        (b"ID", 2) => {
            reply::integer(context.out, context.client.id as i64);
            Ok(())
        }
        _ => Err(unknown_subcommand("CLIENT", arguments)),
    }
}

/// CONFIG: what `redis-benchmark` and others look at before they begin.
pub fn config(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    if !arguments.get(1).eq_ignore_ascii_case(b"GET") || arguments.len() < 3 {
        return Err(unknown_subcommand("CONFIG", arguments));
    }
    let limit = context.server.limits.bulk_max.to_string();
    let clients = context.server.limits.connections_max.to_string();
    let all = [
        ("save", ""),
        ("appendonly", "no"),
        ("databases", "1"),
        ("proto-max-bulk-len", &limit),
        ("maxclients", &clients),
    ];
    let asked = |name: &str| {
        arguments.from(2).any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
    };
    let found: Vec<_> = all.into_iter().filter(|(name, _)| asked(name)).collect();
    reply::array(context.out, 2 * found.len());
    for (name, value) in found {
        reply::bulk(context.out, name.as_bytes());
        reply::bulk(context.out, value.as_bytes());
    }
    Ok(())
}

/// COMMAND: what there is. Clients that ask do without an answer.
pub fn command(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    match arguments.len() > 1 && arguments.get(1).eq_ignore_ascii_case(b"COUNT") {
        true => reply::integer(context.out, 0),
        false => reply::array(context.out, 0),
    }
    Ok(())
}

/// INFO: how the server is.
pub fn info(context: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let server = context.server;
    let driver = Runtime::try_current().map_or_else(String::new, |runtime| runtime.driver().to_string());
    let keys = context.store.count(context.now);
    let sections = [
        (
            "Server",
            format!(
                "redis_version:{VERSION}\r\nredis_mode:standalone\r\nannulus_driver:{driver}\r\nprocess_id:{}\r\n\
                 uptime_in_seconds:{}\r\n",
                std::process::id(),
                (context.now - server.started).as_secs(),
            ),
        ),
        (
            "Clients",
            format!(
                "connected_clients:{}\r\nmaxclients:{}\r\n",
                server.connections.get(),
                server.limits.connections_max
            ),
        ),
        ("Persistence", "loading:0\r\naof_enabled:0\r\n".to_owned()),
        (
            "Stats",
            format!(
                "total_connections_received:{}\r\ntotal_commands_processed:{}\r\n",
                server.accepted.get(),
                server.commands.get()
            ),
        ),
        ("Replication", "role:master\r\nconnected_slaves:0\r\n".to_owned()),
        (
            "Keyspace",
            match keys {
                0 => String::new(),
                _ => format!("db0:keys={keys},expires={}\r\n", context.store.count_expiring()),
            },
        ),
    ];
    let all = arguments.len() == 1
        || arguments.from(1).any(|asked| {
            [&b"all"[..], b"default", b"everything"].iter().any(|name| asked.eq_ignore_ascii_case(name))
        });
    let mut text = String::new();
    for (name, lines) in sections {
        if all || arguments.from(1).any(|asked| asked.eq_ignore_ascii_case(name.as_bytes())) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            text.push_str(&format!("# {name}\r\n{lines}"));
        }
    }
    reply::bulk(context.out, text.as_bytes());
    Ok(())
}

fn unknown_subcommand(name: &str, arguments: &Arguments<'_>) -> Refusal {
    let shown = arguments.get(1).escape_ascii().to_string();
    format!("ERR unknown subcommand or wrong number of arguments for '{shown}' of {name}").into()
}
