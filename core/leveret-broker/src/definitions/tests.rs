//! Definitions come back from the store as they went in, whatever they are called.

use leveret_plugin::value::Value::I32;
use proptest::prelude::*;

use super::key::ALL_USERS;
use super::*;

fn queue(vhost: &str, name: &str) -> Definition {
    Definition::Queue(QueueDefinition {
        vhost: vhost.into(),
        name: name.into(),
        id: QueueId(7),
        auto_delete: false,
        arguments: [].into(),
    })
}

fn binding(key: &str, arguments: &[u8]) -> Definition {
    Definition::Binding(BindingDefinition {
        vhost: "/".into(),
        source: "x".into(),
        to_exchange: false,
        destination: "q".into(),
        key: key.into(),
        arguments: arguments.into(),
    })
}

fn decode(definition: &Definition) -> Result<Definition, DefinitionError> {
    Definition::decode(&definition.key(), &definition.encode())
}

#[test]
fn keys_are_readable_and_escaped() {
    assert_eq!(queue("/", "q").key(), "queue/%2f/q");
    assert_eq!(queue("v", "a/b%\0ü").key(), "queue/v/a%2fb%25%00ü");
    assert_eq!(binding("k.#", &[]).key(), "binding/%2f/x/queue/q/k.#/");
    assert_eq!(binding("", &[1, 0xab]).key(), "binding/%2f/x/queue/q//01ab");
}

#[test]
fn no_name_is_the_beginning_of_another_ones_key() {
    assert!(queue("v", "q").key().starts_with("queue/v/"));
    assert!(!queue("v2", "q").key().starts_with("queue/v/"));
    assert!(!queue("v/2", "q").key().starts_with("queue/v/"));
    let all = [ALL_VHOSTS, ALL_USERS, ALL_EXCHANGES, ALL_QUEUES, ALL_BINDINGS];
    let prefixes = |definition: &Definition| all.map(|all| definition.key().starts_with(all));
    assert_eq!(prefixes(&queue("v", "q")), [false, false, false, true, false]);
    assert_eq!(prefixes(&binding("k", &[])), [false, false, false, false, true]);
}

#[test]
fn other_arguments_are_another_binding_however_long_they_are() {
    let long = |last| binding("k", &[&[1; 100_000][..], &[last]].concat()).key();
    assert_ne!(long(1), long(2));
    assert_eq!(long(1), long(1));
    assert!(long(1).len() < 200);
    assert_ne!(binding("k", &[1]).key(), binding("k", &[2]).key());
}

#[test]
fn what_is_no_definition_is_told_apart() {
    let key_error =
        |key: &str| Definition::decode(key, &[]) == Err(DefinitionError::Key(key.into()));
    for key in ["", "queue", "queue/v", "queue/v/a/b", "vhost/a%2", "vhost/%2F", "bogus/a"] {
        assert!(key_error(key), "{key}");
    }
    assert!(key_error("binding/v/x/topic/q/k/"));
    let wrong = Definition::decode("queue/v/q", &[1]);
    assert!(matches!(wrong, Err(DefinitionError::Value(_))), "{wrong:?}");
    assert_eq!(Definition::decode("queue/v/q", &[]), Err(DefinitionError::Field("id")));
}

#[test]
fn fields_of_the_future_are_passed_over() {
    let definition = queue("/", "q");
    let value = definition.encode();
    let mut value = TableBuilder::from(Table::new(&value));
    value.set("colour", I32(3)).expect("set");
    assert_eq!(Definition::decode(&definition.key(), &value.into_bytes()), Ok(definition));
}

#[test]
fn a_queue_without_its_number_is_no_queue() {
    let value: TableBuilder =
        [("auto_delete", Value::Bool(false)), ("id", Value::Text(b"7"))].into_iter().collect();
    assert_eq!(
        Definition::decode("queue/v/q", &value.into_bytes()),
        Err(DefinitionError::Field("id"))
    );
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/%]{0,4}", any::<String>()]
}

fn arguments() -> impl Strategy<Value = Arc<[u8]>> {
    prop::collection::vec(("[a-z-]{1,9}", any::<i64>()), 0..4).prop_map(|pairs| {
        let pairs = pairs.iter().map(|(name, number)| (name.as_str(), Value::I64(*number)));
        pairs.collect::<TableBuilder>().into_bytes().into()
    })
}

fn permission() -> impl Strategy<Value = PermissionRecord> {
    (name(), name(), name(), name()).prop_map(|(vhost, configure, write, read)| PermissionRecord {
        vhost,
        configure,
        write,
        read,
    })
}

fn user() -> impl Strategy<Value = Definition> {
    let tags = prop::collection::vec(name(), 0..3);
    let permissions = prop::collection::vec(permission(), 0..3);
    (name(), name(), tags, any::<bool>(), permissions).prop_map(
        |(name, password_hash, tags, loopback_only, permissions)| {
            Definition::User(UserRecord { name, password_hash, tags, loopback_only, permissions })
        },
    )
}

fn definition() -> impl Strategy<Value = Definition> {
    let vhost = name().prop_map(|name| Definition::Vhost { name: name.into() });
    let exchange = (name(), name(), name(), any::<bool>(), any::<bool>(), arguments()).prop_map(
        |(vhost, name, kind, auto_delete, internal, arguments)| {
            let (vhost, name, kind) = (vhost.into(), name.into(), kind.into());
            Definition::Exchange(ExchangeDefinition {
                vhost,
                name,
                kind,
                auto_delete,
                internal,
                arguments,
            })
        },
    );
    let queue = (name(), name(), any::<u64>(), any::<bool>(), arguments()).prop_map(
        |(vhost, name, id, auto_delete, arguments)| {
            let (vhost, name, id) = (vhost.into(), name.into(), QueueId(id));
            Definition::Queue(QueueDefinition { vhost, name, id, auto_delete, arguments })
        },
    );
    let binding = (name(), name(), any::<bool>(), name(), name(), arguments()).prop_map(
        |(vhost, source, to_exchange, destination, key, arguments)| {
            Definition::Binding(BindingDefinition {
                vhost: vhost.into(),
                source: source.into(),
                to_exchange,
                destination: destination.into(),
                key: key.into(),
                arguments,
            })
        },
    );
    prop_oneof![vhost, user(), exchange, queue, binding]
}

proptest! {
    #[test]
    fn definitions_come_back(definition in definition()) {
        prop_assert_eq!(decode(&definition), Ok(definition));
    }

    #[test]
    fn different_names_have_different_keys(a in definition(), b in definition()) {
        let nameless = |definition: &Definition| match definition.clone() {
            Definition::User(user) => {
                Definition::User(UserRecord { name: user.name, ..UserRecord::default() })
            }
            Definition::Exchange(exchange) => Definition::Exchange(ExchangeDefinition {
                kind: "".into(),
                auto_delete: false,
                internal: false,
                arguments: [].into(),
                ..exchange
            }),
            Definition::Queue(queue) => Definition::Queue(QueueDefinition {
                id: QueueId(0),
                auto_delete: false,
                arguments: [].into(),
                ..queue
            }),
            other => other,
        };
        prop_assert_eq!(a.key() == b.key(), nameless(&a) == nameless(&b));
    }

    #[test]
    fn no_bytes_end_the_process(key: String, value: Vec<u8>) {
        let _ = Definition::decode(&key, &value);
        let _ = Definition::decode("user/a", &value);
        let _ = Definition::decode("exchange/a/b", &value);
    }
}
