//! On which line of a TOML file a key is set, for messages.

/// The line, counted from 1, that sets the key at `path` (list indices as numbers), if it is
/// written the usual way: `key =` below the header of its table.
pub(super) fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let mut table: Vec<String> = Vec::new();
    let mut found = None;
    let mut headers: Vec<Vec<String>> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("[[").and_then(|rest| rest.split("]]").next()) {
            table = list_table(&mut headers, name);
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = parts(name);
        } else if let Some((key, _)) = line.split_once('=') {
            let whole: Vec<String> = table.iter().cloned().chain(parts(key)).collect();
            if path.starts_with(&whole) {
                found = Some(number);
            }
            continue;
        } else {
            continue;
        }
        if path == table {
            found = Some(number);
        }
    }
    found
}

/// The path of the list entry that the header `[[name]]` begins; `seen` are the entries so far.
fn list_table(seen: &mut Vec<Vec<String>>, name: &str) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    let names = parts(name);
    for (depth, part) in names.iter().enumerate() {
        path.push(part.clone());
        let entries = seen.iter().filter(|entry| entry.len() == path.len() + 1);
        let count = entries.filter(|entry| entry.starts_with(&path)).count();
        if depth + 1 == names.len() {
            path.push(count.to_string());
        } else if count > 0 {
            path.push((count - 1).to_string());
        }
    }
    seen.push(path.clone());
    path
}

fn parts(dotted: &str) -> Vec<String> {
    dotted.split('.').map(|part| part.trim().trim_matches(['"', '\'']).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "data_dir = \"x\"\n[amqp]\n# port = 1\nport = 2\n\n[[users]]\nname = 'a'\n\
                        [[users]]\nname = 'b'\n[[users.permissions]]\nvhost = '/'\nwrit = ''\n";

    fn line(path: &str) -> Option<usize> {
        line_of(TEXT, &parts(path))
    }

    #[test]
    fn a_key_is_found_in_its_own_table() {
        assert_eq!(line("data_dir"), Some(1));
        assert_eq!(line("amqp"), Some(2));
        assert_eq!(line("amqp.port"), Some(4));
        assert_eq!(line("users.0.name"), Some(7));
        assert_eq!(line("users.1.name"), Some(9));
        assert_eq!(line("users.1.permissions.0.writ"), Some(12));
    }

    #[test]
    fn a_key_that_is_not_there_has_no_line() {
        assert_eq!(line("amqp.bind"), None);
        assert_eq!(line("users.2.name"), None);
    }
}
