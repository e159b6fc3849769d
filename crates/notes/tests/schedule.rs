//! The schedule against a plain sorted list that remembers every raise of the revision.

mod common;

use notes::schedule::Refusal;
use notes::{Planned, Schedule};
use proptest::prelude::*;

const ROOM: usize = 12;

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Pushes a note with this onset, generated this many revisions ago.
    Push(f64, u64),
    RaiseFrom(f64),
    Raise,
    DropFrom(f64),
    /// Pops everything due before this time, but no more than this many notes.
    Due(f64, usize),
}

fn act() -> impl Strategy<Value = Act> {
    // Few values, so that onsets are often equal to each other and to limits.
    let beat = || (0..24u32).prop_map(|n| f64::from(n) * 0.5);
    prop_oneof![
        20 => (beat(), prop_oneof![3 => Just(0u64), 1 => 0..4u64]).prop_map(|(t, age)| Act::Push(t, age)),
        2 => beat().prop_map(Act::RaiseFrom),
        1 => Just(Act::Raise),
        1 => beat().prop_map(Act::DropFrom),
        4 => (beat(), 0..6usize).prop_map(|(t, n)| Act::Due(t, n)),
    ]
}

proptest! {
    #![proptest_config(common::cases(500))]

    #[test]
    fn equals_a_sorted_list(acts in prop::collection::vec(act(), 0..120)) {
        let mut schedule = Schedule::<ROOM>::new();
        let mut list: Vec<Planned> = Vec::new();
        let mut raises: Vec<f64> = Vec::new();
        let mut overflowed = 0;
        for (index, act) in acts.into_iter().enumerate() {
            match act {
                Act::Push(onset, age) => {
                    let revision = schedule.revision().saturating_sub(age);
                    let index = index as u32;
                    let note = Planned { onset, end: onset + 1.0, revision, index, ..Planned::default() };
                    let void = raises[revision as usize..].iter().any(|&from| onset >= from);
                    let expected = if void {
                        Err(Refusal::Void)
                    } else if list.len() == ROOM {
                        overflowed += 1;
                        Err(Refusal::Full)
                    } else {
                        list.push(note);
                        list.sort_by(|a, b| a.onset.total_cmp(&b.onset));
                        Ok(())
                    };
                    prop_assert_eq!(schedule.push(note), expected);
                }
                Act::RaiseFrom(time) => {
                    raises.push(time);
                    list.retain(|note| note.onset < time);
                    prop_assert_eq!(schedule.raise_revision_from(time) as usize, raises.len());
                }
                Act::Raise => {
                    raises.push(f64::NEG_INFINITY);
                    list.clear();
                    prop_assert_eq!(schedule.raise_revision() as usize, raises.len());
                }
                Act::DropFrom(time) => {
                    let before = list.len();
                    list.retain(|note| note.onset < time);
                    prop_assert_eq!(schedule.drop_from(time), before - list.len());
                }
                Act::Due(time, most) => {
                    let due = list.iter().take_while(|note| note.onset < time).count().min(most);
                    let expected: Vec<Planned> = list.drain(..due).collect();
                    let found: Vec<Planned> = (0..most).map_while(|_| schedule.pop_before(time)).collect();
                    prop_assert_eq!(found, expected);
                }
            }
            prop_assert!(schedule.iter().eq(&list));
            prop_assert_eq!(schedule.len(), list.len());
            prop_assert_eq!(schedule.next_onset(), list.first().map(|note| note.onset));
            prop_assert_eq!(schedule.overflowed(), overflowed);
        }
    }
}

#[test]
fn notes_older_than_memory_and_from_the_future_are_void() {
    let mut schedule = Schedule::<4>::new();
    for _ in 0..1_000 {
        schedule.raise_revision_from(8.0);
    }
    let note = |revision| Planned { onset: 1.0, end: 2.0, revision, ..Planned::default() };
    // Its onset was never voided, but that raise is no longer remembered.
    assert_eq!(schedule.push(note(3)), Err(Refusal::Void));
    assert_eq!(schedule.push(note(990)), Ok(()));
    assert_eq!(schedule.push(note(1_000)), Ok(()));
    assert_eq!(schedule.push(note(1_001)), Err(Refusal::Void));
}

#[test]
fn times_that_are_no_numbers_stay_outside() {
    let mut schedule = Schedule::<4>::new();
    for (onset, end) in [(f64::NAN, 1.0), (0.0, f64::NAN), (0.0, f64::INFINITY)] {
        let note = Planned { onset, end, ..Planned::default() };
        assert_eq!(schedule.push(note), Err(Refusal::Invalid));
    }
    assert_eq!(schedule.push(Planned::default()), Ok(()));
    // From NaN: everything is void, to be on the safe side.
    schedule.raise_revision_from(f64::NAN);
    assert!(schedule.is_empty());
}
