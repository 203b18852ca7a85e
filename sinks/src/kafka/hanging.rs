//! Transactions of this sink that hang: the cluster has lost their ends.
//!
//! A broker that is stopped in the moment of a commit can write down that a transaction is complete, and never write its end into the partitions. It is then
//! open for ever: no time-out ends it, and a reader of committed transactions sees nothing behind it. Only its producer can end it, by the end of another
//! transaction in the same partitions.
//!
//! ```text
//!   partition:   … committed | hanging: epoch 143 …………………… | a message, aborted
//!                            ▲ what readers see ends here     ▲ with it ends what hangs: epoch 143 is delivered again
//! ```

use super::decide::{Hanging, decide_hanging};
use super::group::{Group, Says};
use super::progress::{Found, Say};
use super::said::Bounds;
use super::topic::{Hang, Topic};
use super::transaction::{Trouble, end};
use super::{KafkaSink, client::Reports};
use rdkafka::producer::BaseProducer;
use std::sync::Arc;
use std::time::Duration;

/// What is told stands for so long, so that whoever shows it sees it.
const TOLD_FOR: Duration = Duration::from_millis(300);

fn told(sink: &KafkaSink, what: String) {
    sink.tell(Some(what));
    std::thread::sleep(TOLD_FOR);
    sink.tell(None);
}

/// Ends what hangs, once the producers are fenced. Gives how far the topic is where that is known by it; none where nothing hangs (any more): then the group
/// and the topic tell.
pub(crate) fn end_hanging(
    sink: &KafkaSink,
    group: &Group<'_>,
    topic: &mut Topic<'_>,
    producers: &[Arc<BaseProducer<Reports>>],
) -> Result<Option<Found>, Trouble> {
    let Some(Hang { stuck, oldest }) = topic.hanging()? else { return Ok(None) };
    let Says { decided, undecided } = group.says()?;
    let before = decided.as_ref().and_then(|said| said.account.as_ref()).map_or_else(Bounds::default, |account| account.before.clone());
    let shown = topic.marks(&before)?.into_iter().max_by_key(|mark| mark.through);
    let (decided, by) = decided.map_or_else(Default::default, |said| (said.through, said.run));
    let (newest, by) = shown.filter(|mark| mark.through > decided).map_or((decided, by), |mark| (mark.through, mark.run));
    let partitions = || stuck.iter().filter_map(|partition| i32::try_from(*partition).ok());
    match decide_hanging(oldest, newest) {
        Hanging::Leave => {
            told(
                sink,
                format!(
                    "partitions {stuck:?} of the topic {} have a committed transaction whose end the cluster has lost; it becomes visible with the next messages \
                 there",
                    sink.spec.topic
                ),
            );
            let say = match (undecided, newest == decided) {
                (true, _) => Say::All,
                (false, true) => Say::Nobody,
                (false, false) => Say::Claimer,
            };
            Ok(Some(Found { through: newest, by, say }))
        }
        Hanging::End => {
            told(
                sink,
                format!(
                    "partitions {stuck:?} of the topic {} have a transaction whose end the cluster has lost, after epoch {newest}; it is ended, and delivered again",
                    sink.spec.topic
                ),
            );
            producers.iter().try_for_each(|producer| end(producer, &sink.spec.topic, partitions()))?;
            topic.ask_again()?;
            Ok(None)
        }
    }
}
