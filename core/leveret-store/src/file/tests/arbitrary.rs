//! Whatever is in the files: the log opens, or says why not, and gives back nothing that was not
//! written.

use std::{collections::BTreeSet, fs};

use proptest::prelude::*;

use super::*;

/// Something that happens to a file.
#[derive(Clone, Debug)]
enum Harm {
    Overwrite(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    /// Bytes from one place come to another.
    Copy(prop::sample::Index, prop::sample::Index, usize),
    Remove,
}

fn harm() -> impl Strategy<Value = Harm> {
    let index = any::<prop::sample::Index>;
    let bytes = || prop::collection::vec(any::<u8>(), 1..80);
    prop_oneof![
        4 => (index(), bytes()).prop_map(|(at, bytes)| Harm::Overwrite(at, bytes)),
        1 => index().prop_map(Harm::Cut),
        2 => (index(), bytes()).prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
        4 => (index(), index(), 1..600_usize).prop_map(|(from, to, len)| Harm::Copy(from, to, len)),
        1 => Just(Harm::Remove),
    ]
}

fn do_harm(path: &std::path::Path, harm: Harm) {
    let mut bytes = fs::read(path).expect("there");
    let len = bytes.len() + 1;
    match harm {
        Harm::Overwrite(at, new) => overwrite(&mut bytes, at.index(len), &new),
        Harm::Cut(at) => bytes.truncate(at.index(len)),
        Harm::Insert(at, new) => drop(bytes.splice(at.index(len)..at.index(len), new)),
        Harm::Copy(from, to, count) => {
            let from = from.index(len);
            let copied = bytes[from..(from + count).min(len - 1)].to_vec();
            overwrite(&mut bytes, to.index(len), &copied);
        }
        Harm::Remove => return fs::remove_file(path).expect("removable"),
    }
    fs::write(path, bytes).expect("written");
}

fn overwrite(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..].iter_mut().zip(new).for_each(|(byte, new)| *byte = *new);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn harmed_files_give_back_only_what_was_written(
        harms in prop::collection::vec((any::<prop::sample::Index>(), harm()), 1..5),
    ) {
        let dir = Dir::new(1024, 0);
        let mut writer = dir.writer();
        let body = |seq: Seq| vec![u8::try_from(seq).expect("small"); 60];
        for seq in (1..=40).step_by(2) {
            let mut batch = one(seq, &body(seq));
            batch.enqueue(&[(QueueId(1), seq + 1)], &[&body(seq + 1)]);
            append(&mut *writer, batch);
            append(&mut *writer, settle(seq, seq));
        }
        drop(writer);
        for (which, harm) in harms {
            let segments = dir.segments();
            if !segments.is_empty() {
                do_harm(which.get::<PathBuf>(&segments), harm);
            }
        }
        let (found, _) = dir.recover();
        let written: BTreeSet<_> = (1..=40).map(|seq| ((1, seq), body(seq))).collect();
        prop_assert!(found.clone().into_iter().all(|entry| written.contains(&entry)));
        prop_assert_eq!(dir.recover().0, found, "the second time");
    }
}
