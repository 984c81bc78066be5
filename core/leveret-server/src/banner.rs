//! The lines on stdout when the broker starts: where everything is, and last that it is ready.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use leveret_plugin::host::Origin;

/// Something that was loaded and may be named in the configuration or by clients.
#[derive(Clone, Debug)]
pub struct Loaded<'a> {
    /// `exchange`, `transform` or `auth`.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Where it came from.
    pub origin: &'a Origin,
}

/// What is said before the ready line.
#[derive(Clone, Debug)]
pub struct Banner<'a> {
    /// Where clients connect.
    pub amqp: SocketAddr,
    /// Where people and tools connect.
    pub management: Option<SocketAddr>,
    /// Where messages and definitions are.
    pub data_dir: &'a Path,
    /// What was loaded.
    pub loaded: &'a [Loaded<'a>],
    /// What is allowed but probably not meant.
    pub warnings: &'a [String],
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "leveret {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "amqp        {}", self.amqp)?;
        if let Some(management) = self.management {
            writeln!(f, "management  http://{management}/")?;
        }
        writeln!(f, "data        {}", self.data_dir.display())?;
        for item in self.loaded {
            writeln!(f, "{:<11} {} ({})", item.kind, item.name, item.origin)?;
        }
        for warning in self.warnings {
            writeln!(f, "warning     {warning}")?;
        }
        Ok(())
    }
}

/// The last start-up line; programs that start the broker wait for it and read the ports in it.
pub fn ready_line(amqp: SocketAddr, management: Option<SocketAddr>) -> String {
    let management = management.map_or_else(|| "off".to_owned(), |address| address.to_string());
    let pid = std::process::id();
    format!("leveret ready amqp={amqp} management={management} pid={pid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_names_addresses_and_pid() {
        let amqp = SocketAddr::from(([127, 0, 0, 1], 5672));
        let management = SocketAddr::from(([127, 0, 0, 1], 15_672));
        let pid = std::process::id();
        assert_eq!(
            ready_line(amqp, Some(management)),
            format!("leveret ready amqp=127.0.0.1:5672 management=127.0.0.1:15672 pid={pid}")
        );
        assert!(ready_line(amqp, None).contains(" management=off "));
    }

    #[test]
    fn everything_loaded_has_a_line_with_its_origin() {
        let origin = Origin::BuiltIn;
        let loaded = [Loaded { kind: "exchange", name: "topic", origin: &origin }];
        let banner = Banner {
            amqp: SocketAddr::from(([127, 0, 0, 1], 5672)),
            management: None,
            data_dir: Path::new("/data"),
            loaded: &loaded,
            warnings: &["nobody can log in".to_owned()],
        };
        let text = banner.to_string();
        assert!(text.contains("exchange    topic (built in)\n"), "{text}");
        assert!(text.contains("warning     nobody can log in\n"), "{text}");
    }
}
