//! Which of the sockets that a process was started with are for which address.

use std::io;
use std::net::{SocketAddr, TcpListener};

use super::life::{OURS, name_of};
use crate::service::{self, Inherited};

/// What is there of a group of addresses that is to be listened at: its sockets, and whether a service manager has them as well.
type Found = Option<(Vec<TcpListener>, bool)>;

/// A socket that was inherited.
struct Given {
    name: String,
    address: SocketAddr,
    listener: TcpListener,
}

/// Sorts the inherited sockets to the addresses that they are for: of each listen its sockets, or None where it has to be bound.
pub(super) fn groups(wanted: &[Vec<SocketAddr>]) -> io::Result<Vec<Found>> {
    let given: Vec<_> = service::inherited()?.into_iter().map(given).collect::<io::Result<_>>()?;
    sort(given, wanted)
}

fn given(inherited: Inherited) -> io::Result<Given> {
    let name = inherited.name().to_owned();
    let listener = inherited.into_tcp_listener()?;
    Ok(Given { name, address: listener.local_addr()?, listener })
}

fn sort(given: Vec<Given>, wanted: &[Vec<SocketAddr>]) -> io::Result<Vec<Found>> {
    let mut found: Vec<Found> = wanted.iter().map(|_| None).collect();
    for Given { name, address, listener } in given {
        let by_address = wanted.iter().position(|addresses| addresses.contains(&address));
        // What the manager gave the predecessor is for the same place here, whatever its address.
        let by_place = (0..wanted.len()).find(|group| name == name_of(*group, true));
        // Where the system chose the port, the predecessor tells by the name which it was.
        let by_name = wanted.iter().enumerate().position(|(group, addresses)| {
            let any_port = |wanted: &SocketAddr| wanted.port() == 0 && wanted.ip() == address.ip();
            name == name_of(group, false) && addresses.iter().any(any_port)
        });
        let is_predecessors = name.starts_with(OURS);
        // A service manager's settings say where to listen, and the program's are not asked: that is what activation is for.
        let is_the_only = (wanted.len() == 1 && !is_predecessors).then_some(0);
        let is_managed = !is_predecessors || by_place.is_some();
        match by_place.or(by_address).or(by_name).or(is_the_only) {
            Some(group) => {
                let (listeners, managed) = found[group].get_or_insert_default();
                listeners.push(listener);
                *managed |= is_managed;
            }
            // An address that the program that runs now does not listen at any more.
            None if is_predecessors => {}
            None => {
                let wanted: Vec<_> = wanted.iter().flatten().map(SocketAddr::to_string).collect();
                let text = format!(
                    "the service manager gave a socket {name:?} that listens at {address}, and this program listens at \
                     {}: give the same addresses to both",
                    wanted.join(", ")
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
    }
    Ok(found)
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use super::*;

    fn socket(name: &str) -> Given {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Given { name: name.to_owned(), address: listener.local_addr().unwrap(), listener }
    }

    fn sizes(found: &[Found]) -> Vec<usize> {
        found.iter().map(|found| found.as_ref().map_or(0, |(listeners, _)| listeners.len())).collect()
    }

    #[test]
    fn sockets_go_to_the_address_that_they_listen_at() {
        let (one, other) = (socket("web"), socket("admin"));
        let wanted = [vec![other.address], vec![one.address, "10.0.0.1:80".parse().unwrap()]];
        assert_eq!(sizes(&sort(vec![one, other], &wanted).unwrap()), [1, 1]);
    }

    #[test]
    fn a_port_that_the_system_chose_is_known_by_its_place() {
        let any = vec!["127.0.0.1:0".parse().unwrap()];
        let given = vec![socket("annulus-1"), socket("annulus-0"), socket("annulus-1")];
        assert_eq!(sizes(&sort(given, &[any.clone(), any]).unwrap()), [1, 2]);
    }

    #[test]
    fn what_a_manager_gave_is_known_by_its_place_whatever_its_address() {
        let wanted = [vec!["127.0.0.1:8080".parse().unwrap()], vec!["127.0.0.1:8081".parse().unwrap()]];
        let found = sort(vec![socket("annulus-managed-1")], &wanted).unwrap();
        assert_eq!(sizes(&found), [0, 1]);
        assert!(found[1].as_ref().is_some_and(|(_, is_managed)| *is_managed));
    }

    #[test]
    fn a_manager_says_where_a_program_with_one_address_listens() {
        let wanted = [vec!["127.0.0.1:8080".parse().unwrap()]];
        assert_eq!(sizes(&sort(vec![socket("web"), socket("web")], &wanted).unwrap()), [2]);
    }

    #[test]
    fn sockets_for_no_address_of_several_are_refused_with_their_names() {
        let wanted = [vec!["127.0.0.1:8080".parse().unwrap()], vec!["127.0.0.1:8081".parse().unwrap()]];
        let text = sort(vec![socket("web")], &wanted).unwrap_err().to_string();
        assert!(text.contains("\"web\"") && text.contains("127.0.0.1:8081"), "{text}");
    }

    #[test]
    fn what_a_predecessor_listened_at_before_its_settings_changed_is_let_go() {
        let wanted = [vec!["127.0.0.1:8080".parse().unwrap()]];
        assert_eq!(sizes(&sort(vec![socket("annulus-0")], &wanted).unwrap()), [0]);
    }
}
