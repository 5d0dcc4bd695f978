//! What may happen, and how it is drawn.

use proptest::prelude::*;

/// Most operations of a sequence; more show nothing that fewer do not.
const LONGEST: usize = 10;

/// Work for a worker, on the contact or the archive of this number (modulo how many there are).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Export(usize),
    Anonymise(usize),
    /// From the contact's own archive.
    Restore(usize),
    RestoreArchive {
        archive: usize,
        overwrite: bool,
    },
    /// From an archive that was saved, and is sent back.
    RestoreUpload {
        archive: usize,
        overwrite: bool,
    },
}

/// How the message of an item is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Once,
    /// Again when all is over.
    Twice,
    /// To both workers, whose calls are interleaved.
    Racing(u64),
    /// To a worker that dies at this call.
    Dying {
        call: u64,
        after: bool,
    },
    /// To a worker that sleeps at this call until it is woken.
    Stalling {
        call: u64,
        after: bool,
    },
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Edit(usize),
    AddDocument { contact: usize, photo: bool },
    DeleteDocument { contact: usize, number: usize },
    Delete(usize),
}

/// Who is at it at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    Worker(Act),
    Member(Change),
}

/// One step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Enter,
    Change(Change),
    /// A document is announced; its bytes come later, or never.
    Announce(usize),
    Complete(usize),
    Act {
        act: Act,
        /// After what makes it possible: an export before an anonymisation, and both before a restore.
        prepared: bool,
        delivery: Delivery,
    },
    Race {
        act: Act,
        prepared: bool,
        rival: Rival,
        schedule: u64,
    },
    /// An action that is stopped before its item has its turn.
    Stop(Act),
    /// What failed in an action is done again.
    Retry {
        number: usize,
        delivery: Delivery,
    },
    /// Leases end, and what nobody does is delivered again.
    Recover,
    /// Workers that slept go on.
    Wake,
    Download(usize),
    Hours(i64),
    /// The janitor looks; after S3 and DynamoDB have removed what is due, or before.
    Sweep {
        engines: bool,
    },
}

fn contact() -> impl Strategy<Value = usize> + Clone {
    prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(2)]
}

fn act() -> impl Strategy<Value = Act> + Clone {
    let archive = || (0_usize..4, any::<bool>());
    prop_oneof![
        4 => contact().prop_map(Act::Export),
        5 => contact().prop_map(Act::Anonymise),
        3 => contact().prop_map(Act::Restore),
        4 => archive().prop_map(|(archive, overwrite)| Act::RestoreArchive { archive, overwrite }),
        3 => archive().prop_map(|(archive, overwrite)| Act::RestoreUpload { archive, overwrite }),
    ]
}

fn delivery() -> impl Strategy<Value = Delivery> + Clone {
    let place = || (1_u64..32, any::<bool>());
    prop_oneof![
        4 => Just(Delivery::Once),
        1 => Just(Delivery::Twice),
        3 => any::<u64>().prop_map(Delivery::Racing),
        3 => place().prop_map(|(call, after)| Delivery::Dying { call, after }),
        3 => place().prop_map(|(call, after)| Delivery::Stalling { call, after }),
    ]
}

fn change() -> impl Strategy<Value = Change> + Clone {
    prop_oneof![
        4 => contact().prop_map(Change::Edit),
        3 => (contact(), any::<bool>()).prop_map(|(contact, photo)| Change::AddDocument { contact, photo }),
        2 => (contact(), 0_usize..3).prop_map(|(contact, number)| Change::DeleteDocument { contact, number }),
        1 => contact().prop_map(Change::Delete),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let rival = prop_oneof![
        2 => act().prop_map(Rival::Worker),
        3 => change().prop_map(Rival::Member),
    ];
    let hours = prop_oneof![1 => Just(1), 1 => Just(23), 1 => Just(49), 1 => Just(100), 3 => Just(240)];
    prop_oneof![
        1 => Just(Operation::Enter),
        8 => change().prop_map(Operation::Change),
        2 => contact().prop_map(Operation::Announce),
        2 => (0_usize..3).prop_map(Operation::Complete),
        20 => (act(), any::<bool>(), delivery())
            .prop_map(|(act, prepared, delivery)| Operation::Act { act, prepared, delivery }),
        8 => (act(), any::<bool>(), rival, any::<u64>())
            .prop_map(|(act, prepared, rival, schedule)| Operation::Race { act, prepared, rival, schedule }),
        1 => act().prop_map(Operation::Stop),
        2 => (0_usize..3, delivery()).prop_map(|(number, delivery)| Operation::Retry { number, delivery }),
        3 => Just(Operation::Recover),
        4 => Just(Operation::Wake),
        1 => (0_usize..4).prop_map(Operation::Download),
        3 => hours.prop_map(Operation::Hours),
        2 => any::<bool>().prop_map(|engines| Operation::Sweep { engines }),
    ]
}

/// Sequences, which shrink to fewer and simpler operations.
pub(crate) fn sequence() -> impl Strategy<Value = Vec<Operation>> {
    proptest::collection::vec(operation(), 4..=LONGEST)
}
