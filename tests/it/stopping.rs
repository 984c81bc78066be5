//! How the broker ends, and what it says when it cannot start.

use std::process::Output;
use std::time::{Duration, Instant};

use crate::broker::{Broker, refused};
use crate::client::Client;
use crate::verbs::DURABLE;
use crate::wire::Message;

/// The one line and the exit code.
fn complaint(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    assert!(text.starts_with("leveret: "), "{text}");
    (output.status.code(), text)
}

#[test]
fn clients_are_told_and_the_exit_is_clean_within_five_seconds() {
    let mut broker = Broker::start();
    let mut clients = [broker.client(), broker.client()];
    let started = Instant::now();
    broker.terminate();
    for client in &mut clients {
        let refusal = client.refused();
        assert_eq!(refusal.code, 320);
        assert!(refusal.text.starts_with("CONNECTION_FORCED"), "{}", refusal.text);
    }
    assert_eq!(broker.wait(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_client_that_does_not_answer_does_not_keep_the_broker() {
    let mut broker = Broker::start();
    let _client = broker.client();
    let started = Instant::now();
    assert_eq!(broker.stop(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_was_not_waited_for_is_written_before_a_clean_exit() {
    let mut broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", DURABLE, &[]);
    (0..100).for_each(|n| client.publish("", "q", Message::persistent(n.to_string())));
    client.barrier();
    assert_eq!(broker.stop(), Some(0));
    broker.start_again("");
    assert_eq!(broker.client().ready("q"), 100);
}

#[test]
fn a_data_directory_in_use_is_said() {
    let broker = Broker::start();
    let (code, text) = complaint(&refused(&broker.data_dir(), &[]));
    assert_eq!(code, Some(75), "{text}");
    assert!(text.contains(&broker.data_dir().display().to_string()), "{text}");
}

#[test]
fn wrong_configuration_is_said_with_what_was_meant() {
    let directory = tempfile::tempdir().expect("a directory");
    for (argument, code, words) in [
        ("amqp.heartbeat_sec=3", 78, "heartbeat_secs"),
        ("transforms.chain=nobody", 78, "nobody"),
        ("auth.chain=nobody", 78, "nobody"),
    ] {
        let (is, text) = complaint(&refused(directory.path(), &["--set", argument]));
        assert_eq!(is, Some(code), "{argument}: {text}");
        assert!(text.contains(words), "{argument}: {text}");
    }
    let missing = directory.path().join("none.toml").display().to_string();
    let (code, text) = complaint(&refused(directory.path(), &["--config", &missing]));
    assert_eq!(code, Some(66), "{text}");
    assert_eq!(refused(directory.path(), &["--nonsense"]).status.code(), Some(64));
}

#[test]
fn a_broker_without_anything_to_configure_lets_guest_in_and_nobody_else() {
    let broker = Broker::start();
    broker.client().close();
    let refusal = Client::connect(broker.port, "guest", "wrong").err().expect("refused");
    assert_eq!(refusal.code, 403);
    assert!(refusal.text.starts_with("ACCESS_REFUSED"), "{}", refusal.text);
}
