//! `cargo bench -p leveret-store`: how fast the log takes messages, beside what the disk can do.
//!
//! 1 KiB messages, batches of 1 to 1,024 of them, one batch under way at a time or several; then
//! settles, opening, reading back and definitions. Takes a directory on the disk in question as
//! its argument (default: a temporary one).

use std::{
    fs::OpenOptions,
    future::Future,
    io::Write as _,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use leveret_store::{
    AppendFuture, Batch, FileOptions, FileStore, Opened, QueueId, RecordRef, Writer,
};

const BODY_BYTES: usize = 1024;
const QUEUES: u64 = 64;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Bytes that do not compress, different for each message.
fn bodies() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..(1 << 20) / 8).flat_map(|_| next()).collect()
}

fn batch(bodies: &[u8], first: u64, count: u64) -> Batch {
    let mut batch = Batch::new();
    for number in first..first + count {
        let at = usize::try_from(number * 97).expect("64 bits") % (bodies.len() - BODY_BYTES);
        let target = (QueueId(number % QUEUES), number / QUEUES);
        batch.enqueue(&[target], &[&bodies[at..at + BODY_BYTES]]);
    }
    batch
}

fn cpu_time() -> Duration {
    let usage = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let mut fields = usage.rsplit(") ").next().unwrap_or_default().split(' ').skip(11);
    let ticks = |field: Option<&str>| field.and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    Duration::from_millis(10 * (ticks(fields.next()) + ticks(fields.next())))
}

/// What a bare append and sync of as many bytes costs.
fn bare(dir: &Path, bytes: usize, rounds: u32) -> Duration {
    let path = dir.join("bare");
    let mut file =
        OpenOptions::new().create(true).append(true).open(&path).expect("a file to write");
    let buffer = vec![1; bytes];
    let start = Instant::now();
    for _ in 0..rounds {
        file.write_all(&buffer).expect("written");
        file.sync_data().expect("synced");
    }
    std::fs::remove_file(path).expect("removable");
    start.elapsed() / rounds
}

fn open(dir: &Path) -> (FileStore, Opened) {
    let store = FileStore::open(dir, FileOptions::default()).expect("a store");
    let lease = block_on(store.ownership().acquire("/", "bench")).expect("free");
    let opened = store.log().open(lease.epoch()).expect("a log");
    (store, opened)
}

/// Appends `total` messages and says how long that took and what one append took (p50, p99).
fn append(writer: &mut dyn Writer, bodies: &[u8], total: u64, size: u64, window: usize) {
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut waiting = std::collections::VecDeque::<(Instant, AppendFuture)>::new();
    let mut latencies = Vec::new();
    let mut finish = |(begun, append): (Instant, AppendFuture)| {
        block_on(append).expect("durable");
        latencies.push(begun.elapsed());
    };
    for number in 0..total / size {
        if waiting.len() == window {
            waiting.pop_front().into_iter().for_each(&mut finish);
        }
        let batch = batch(bodies, number * size, size);
        waiting.push_back((Instant::now(), writer.append(batch)));
    }
    waiting.into_iter().for_each(&mut finish);
    let (took, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
    latencies.sort_unstable();
    println!(
        "batches of {size:4}, {window} under way: {:8.0} messages/s, {:4.2} us CPU each, append p50 \
         {:?} p99 {:?}",
        total as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / total as f64,
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100],
    );
}

fn rate(what: &str, count: u64, start: Instant) {
    let took = start.elapsed();
    println!("{what}: {count} in {took:.2?}, {:.0}/s", count as f64 / took.as_secs_f64());
}

fn log(dir: &Path, bodies: &[u8]) {
    for (total, size, window) in [
        (5_000, 1, 1),
        (100_000, 1, 128),
        (200_000, 128, 1),
        (1_000_000, 256, 1),
        (1_000_000, 256, 4),
        (1_000_000, 1024, 4),
    ] {
        let place = dir.join(format!("log-{size}-{window}"));
        append(&mut *open(&place).1.writer, bodies, total, size, window);
        std::fs::remove_dir_all(place).expect("removable");
    }
}

fn life(dir: &Path, bodies: &[u8]) {
    let total = 1_000_000;
    let (store, mut opened) = open(dir);
    append(&mut *opened.writer, bodies, total, 256, 4);
    drop((store, opened));
    let start = Instant::now();
    let (store, mut opened) = open(dir);
    println!("open with 1,000,000 live messages: {:.2?}", start.elapsed());
    let start = Instant::now();
    rate("recovered", (&mut opened.recovered.messages).count() as u64, start);
    drop(opened.recovered);
    let start = Instant::now();
    for number in (0..total).step_by(101) {
        let at = RecordRef { queue: QueueId(number % QUEUES), seq: number / QUEUES };
        store.log().read(at).expect("there");
    }
    rate("read back", total / 101, start);
    let start = Instant::now();
    for first in (0..total * 9 / 10).step_by(256) {
        let mut batch = Batch::new();
        for number in first..first + 256 {
            // Shuffled within windows of 4,096.
            let number = number & !4095 | (number * 1_237) & 4095;
            batch.settle(QueueId(number % QUEUES), number / QUEUES, number / QUEUES);
        }
        block_on(opened.writer.append(batch)).expect("durable");
    }
    rate("settled one by one, 256 per batch", total * 9 / 10, start);
    let start = Instant::now();
    block_on(opened.writer.trim()).expect("trims");
    println!("trim: {:.2?}, then {:?}", start.elapsed(), opened.writer.usage());
}

fn definitions(dir: &Path) {
    let store = FileStore::open(dir, FileOptions::default()).expect("a store");
    let start = Instant::now();
    let count = 1_000_000;
    let changes = |first: u64| {
        let entry = |n| (format!("bind/{n:016}"), Some(vec![b'v'; 32].into()));
        (first..first + 1000).map(entry).collect()
    };
    let pending: Vec<_> =
        (0..count).step_by(1000).map(|first| store.meta().put_all(changes(first))).collect();
    for put in pending {
        block_on(put).expect("durable");
    }
    rate("definitions put", count, start);
    drop(store);
    let start = Instant::now();
    let store = FileStore::open(dir, FileOptions::default()).expect("a store");
    rate("definitions loaded", count, start);
    assert_eq!(store.meta().list("bind/").len() as u64, count);
}

fn main() {
    let argument = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let temporary = tempfile::TempDir::new().expect("a directory");
    let dir = argument.map_or(temporary.path().to_owned(), PathBuf::from);
    for bytes in [1 << 10, 256 << 10, 1 << 20] {
        println!("bare append and fdatasync of {bytes} bytes: {:.0?}", bare(&dir, bytes, 200));
    }
    let bodies = bodies();
    log(&dir, &bodies);
    life(&dir.join("life"), &bodies);
    definitions(&dir.join("definitions"));
}
