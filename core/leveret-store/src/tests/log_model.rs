//! The log against a model: random histories of enqueues, settles and forgets, with the log
//! opened again in between, cleanly or not.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::engines::{Engine, Files, LATER, Memory};
use crate::{
    AppendError, Batch, Epoch, OpenError, Opened, QueueId, ReadError, RecordRef, Seq, Writer,
    completion::tests::block_on,
};

#[derive(Clone, Debug)]
enum Step {
    /// To these queues (by index), a body of this size.
    Enqueue(BTreeSet<usize>, usize),
    /// Of this queue, the range between two of its messages, by their indices among all ever.
    Settle(usize, prop::sample::Index, prop::sample::Index),
    Delivered(usize, prop::sample::Index, u32),
    Forget(usize),
    /// Ends a batch.
    Commit,
    Trim,
    Reopen {
        clean: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let queue = 0..4_usize;
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => (prop::collection::btree_set(queue.clone(), 1..4), 0..600_usize)
            .prop_map(|(queues, size)| Step::Enqueue(queues, size)),
        8 => (queue.clone(), index(), index()).prop_map(|(q, a, b)| Step::Settle(q, a, b)),
        2 => (queue.clone(), index(), 0..5_u32).prop_map(|(q, a, n)| Step::Delivered(q, a, n)),
        1 => queue.prop_map(Step::Forget),
        6 => Just(Step::Commit),
        1 => Just(Step::Trim),
        1 => any::<bool>().prop_map(|clean| Step::Reopen { clean }),
    ]
}

/// What should be in the log.
#[derive(Default)]
struct Model {
    live: BTreeMap<(QueueId, Seq), (Vec<u8>, u32)>,
    /// The queues that the indices mean now, and how far each has come.
    queues: Vec<(QueueId, Seq)>,
    next_queue: u64,
    bodies: u32,
}

impl Model {
    fn new() -> Self {
        let mut model = Self::default();
        (0..4).for_each(|_| model.add_queue());
        model
    }

    fn add_queue(&mut self) {
        self.next_queue += 1;
        self.queues.push((QueueId(self.next_queue), 0));
    }

    fn enqueue(&mut self, queues: &BTreeSet<usize>, size: usize, batch: &mut Batch) {
        self.bodies += 1;
        let mut body = self.bodies.to_le_bytes().to_vec();
        body.resize(4 + size, self.bodies.to_le_bytes()[0]);
        let targets: Vec<_> = queues.iter().map(|&index| self.next_seq(index)).collect();
        for target in &targets {
            self.live.insert(*target, (body.clone(), 0));
        }
        let (head, tail) = body.split_at(size / 2);
        batch.enqueue(&targets, &[head, tail]);
    }

    fn next_seq(&mut self, index: usize) -> (QueueId, Seq) {
        let (queue, last) = &mut self.queues[index];
        *last += 1;
        (*queue, *last)
    }

    fn pick(&self, index: usize, which: prop::sample::Index) -> (QueueId, Seq) {
        let (queue, last) = self.queues[index];
        (queue, which.index(usize::try_from(last).expect("small") + 1) as u64)
    }

    fn settle(&mut self, (queue, a): (QueueId, Seq), b: Seq, batch: &mut Batch) {
        let (first, last) = (a.min(b), a.max(b));
        self.live.retain(|&(q, seq), _| q != queue || seq < first || seq > last);
        batch.settle(queue, first, last);
    }

    fn forget(&mut self, index: usize, batch: &mut Batch) {
        let (queue, _) = self.queues.swap_remove(index);
        self.live.retain(|&(q, _), _| q != queue);
        batch.forget(queue);
        self.add_queue();
    }
}

struct Run<E> {
    engine: E,
    model: Model,
    opened: Option<Opened>,
    batch: Batch,
}

impl<E: Engine> Run<E> {
    fn new(engine: E) -> Self {
        let opened = Some(engine.open());
        let mut run = Self { engine, model: Model::new(), opened, batch: Batch::new() };
        run.drop_recovered();
        run
    }

    fn writer(&mut self) -> &mut dyn Writer {
        &mut *self.opened.as_mut().expect("open").writer
    }

    /// Lets the log reclaim space.
    fn drop_recovered(&mut self) {
        let opened = self.opened.as_mut().expect("open");
        opened.recovered.messages = Box::new(std::iter::empty());
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Enqueue(queues, size) => self.model.enqueue(&queues, size, &mut self.batch),
            Step::Settle(index, a, b) => {
                let (from, to) = (self.model.pick(index, a), self.model.pick(index, b).1);
                self.model.settle(from, to, &mut self.batch);
            }
            Step::Delivered(index, which, count) => {
                let (queue, seq) = self.model.pick(index, which);
                self.model.live.entry((queue, seq)).and_modify(|held| held.1 = count);
                self.batch.delivered(queue, seq, count);
            }
            Step::Forget(index) => self.model.forget(index, &mut self.batch),
            Step::Commit => self.commit(),
            Step::Trim => drop(block_on(self.writer().trim()).expect("trims")),
            Step::Reopen { clean } => self.reopen(clean),
        }
    }

    fn commit(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        block_on(self.writer().append(batch)).expect("appends");
    }

    fn reopen(&mut self, clean: bool) {
        self.commit();
        let opened = self.opened.take().expect("open");
        if clean {
            block_on(opened.writer.close()).expect("closes");
        } else {
            drop(opened.writer);
        }
        self.engine.reopen();
        let opened = self.engine.open();
        assert_eq!(opened.recovered.clean, clean);
        assert!(!opened.recovered.report.is_damaged(), "{:?}", opened.recovered.report);
        assert_eq!(opened.recovered.report.torn_bytes, 0);
        self.opened = Some(opened);
        self.check();
    }

    /// Compares what comes back, message by message and by reference, with the model.
    fn check(&mut self) {
        let opened = self.opened.as_mut().expect("open");
        let mut found = BTreeMap::new();
        for message in &mut opened.recovered.messages {
            assert!(!message.targets.is_empty());
            for target in &message.targets {
                let held = (message.bytes.to_vec(), target.delivered);
                let twice = found.insert((target.queue, target.seq), held);
                assert_eq!(twice, None, "a message came back twice");
            }
        }
        assert_eq!(found, self.model.live);
        self.drop_recovered();
        self.check_reads();
    }

    fn check_reads(&self) {
        let log = self.engine.log();
        for (&(queue, seq), (body, _)) in &self.model.live {
            let read = log.read(RecordRef { queue, seq }).expect("readable");
            assert_eq!(read, *body);
        }
        for &(queue, last) in &self.model.queues {
            for seq in (0..=last).filter(|seq| !self.model.live.contains_key(&(queue, *seq))) {
                let read = log.read(RecordRef { queue, seq });
                assert!(matches!(read, Err(ReadError::Gone)), "settled but still there");
            }
        }
    }

    fn finish(mut self) {
        self.reopen(false);
        block_on(self.writer().trim()).expect("trims");
        self.check_reads();
        self.reopen(true);
    }
}

fn history(engine: impl Engine, steps: Vec<Step>) {
    let mut run = Run::new(engine);
    steps.into_iter().for_each(|step| run.step(step));
    run.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_log_in_memory_gives_back_what_is_live(steps in prop::collection::vec(step(), 0..300)) {
        history(Memory::new(), steps);
    }

    #[test]
    fn a_log_in_one_segment_gives_back_what_is_live(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        history(Files::new(64 << 20), steps);
    }

    #[test]
    fn a_log_that_reclaims_all_the_time_gives_back_what_is_live(
        steps in prop::collection::vec(step(), 0..400),
    ) {
        history(Files::new(2048), steps);
    }
}

fn one(queue: u64, seq: Seq, body: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.enqueue(&[(QueueId(queue), seq)], &[body]);
    batch
}

fn a_newer_owner_fences_the_older(engine: &impl Engine) {
    let mut first = engine.log().open(LATER).expect("opens");
    block_on(first.writer.append(one(1, 1, b"kept"))).expect("appends");
    let mut second = engine.log().open(Epoch(LATER.0 + 1)).expect("opens");
    let refused = block_on(first.writer.append(one(1, 2, b"too late")));
    assert!(matches!(refused, Err(AppendError::Fenced)), "{refused:?}");
    let again = engine.log().open(LATER);
    assert!(matches!(again, Err(OpenError::Fenced { .. })), "an older epoch got the log");
    block_on(second.writer.append(Batch::new())).expect("the newer is not disturbed");
    let bodies: Vec<_> = second.recovered.messages.map(|message| message.bytes).collect();
    assert_eq!(bodies, ["kept"]);
    assert!(!second.recovered.clean);
}

#[test]
fn a_newer_owner_fences_the_older_in_memory() {
    a_newer_owner_fences_the_older(&Memory::new());
}

#[test]
fn a_newer_owner_fences_the_older_on_disk() {
    a_newer_owner_fences_the_older(&Files::new(64 << 20));
}

fn appends_resolve_in_order_also_if_nobody_polls(engine: &impl Engine) {
    let mut opened = engine.open();
    let appends: Vec<_> =
        (1..=500).map(|seq| opened.writer.append(one(1, seq, &[0; 100]))).collect();
    drop(opened.writer.append(one(1, 501, b"nobody waits for this one")));
    let last = block_on(opened.writer.checkpoint()).expect("durable");
    let lsns: Vec<_> = appends.into_iter().map(|append| block_on(append).expect("lsn")).collect();
    assert!(lsns.is_sorted_by(|a, b| a < b) && lsns.last() < Some(&last));
    assert_eq!(opened.writer.pending_bytes(), 0);
    assert_eq!(opened.writer.usage().live_messages, 501);
}

#[test]
fn appends_to_memory_resolve_in_order() {
    appends_resolve_in_order_also_if_nobody_polls(&Memory::new());
}

#[test]
fn appends_to_files_resolve_in_order() {
    appends_resolve_in_order_also_if_nobody_polls(&Files::new(64 << 20));
}
