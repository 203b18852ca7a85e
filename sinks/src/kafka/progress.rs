//! Finds the last epoch that the topic has. It asks the group, and reads the topic where the
//! group's offset alone does not tell.

use super::decide::{Decision, Facts, Look, Shown, Why, decide_look, decide_progress};
use super::group::{Group, Says};
use super::said::Bounds;
use super::sink::KafkaSink;
use super::topic::Topic;
use super::transaction::Trouble;

/// The last epoch that the topic has, and who delivered it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The last epoch that the topic has; 0 for none.
    pub(crate) through: i64,
    /// The run that brought it; empty for none.
    pub(crate) by: String,
    /// Which producers have to commit an offset that says so.
    pub(crate) say: Say,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Say {
    /// None: the group's decided offset already says it.
    Nobody,
    /// The claimer: the group's decided offset says another epoch.
    Claimer,
    /// The claimer and every producer: the group holds an undecided offset that no transaction will
    /// decide. Only the next offset of the same producer replaces it, and which producer that is
    /// isn't known.
    All,
}

/// Finds out how far the topic is, once the producers that may write there are fenced.
pub(crate) fn find_out(
    sink: &KafkaSink,
    name: &str,
    group: &Group<'_>,
    topic: &Topic<'_>,
) -> Result<Found, Trouble> {
    let Says { decided, undecided } = group.says()?;
    if undecided {
        sink.tell(Some(format!(
            "the group {name} has an offset that no transaction decides any more, as a broker that \
             was stopped can leave one; the topic {} is read to find out what was delivered",
            sink.spec.topic
        )));
    }
    let look = decide_look(decided.as_ref(), undecided);
    let before = decided
        .as_ref()
        .and_then(|said| said.account.as_ref())
        .map_or_else(Bounds::default, |account| account.before.clone());
    let shown = match &decided {
        None if look == Look::No => Shown::default(),
        _ => match topic.shown(look, &before) {
            // This user may not read the topic, and need not: no offset is undecided.
            Err(Trouble::Final(_)) if !undecided => Shown { removed: true, ..Shown::default() },
            shown @ (Ok(_) | Err(Trouble::Unknown(_) | Trouble::Final(_))) => shown?,
        },
    };
    let decision = decide_progress(&Facts { said: decided.as_ref(), undecided, shown: &shown });
    match decision {
        Decision::GoOn { after, by } => {
            let say = match decided.map_or(0, |said| said.through) {
                _ if undecided => Say::All,
                through if through == after => Say::Nobody,
                _ => Say::Claimer,
            };
            if undecided {
                sink.tell(None);
            }
            Ok(Found { through: after, by, say })
        }
        Decision::Refuse(why) => Err(Trouble::Final(refused(sink, name, why))),
    }
}

/// Why nothing is delivered, and how to go on.
pub(crate) fn refused(sink: &KafkaSink, name: &str, why: Why) -> String {
    let topic = &sink.spec.topic;
    let reason = match why {
        Why::Unrecorded => format!(
            "the group {name} has an offset that no transaction decides any more, and the one \
             before it was written by a version that does not say where to look for its messages"
        ),
        Why::Removed => format!(
            "the group {name} has an offset that no transaction decides any more, and messages \
             that would tell whether its transaction was committed may have been removed from the \
             topic {topic} (by its retention or compaction)"
        ),
        Why::Cut(partition) => format!(
            "partition {partition} of the topic {topic} ends before messages that had been \
             delivered: the cluster has lost them, or the topic was made anew"
        ),
        Why::Open(partition) => format!(
            "partition {partition} of the topic {topic} has an open transaction where everything \
             had been decided: the cluster has lost its end after readers had seen it"
        ),
    };
    format!(
        "{reason}; what is in the topic can't be known, and nothing is delivered. To go on after \
         the newest epoch that the topic still shows, at the risk of rows that are there twice: \
         kafka-consumer-groups.sh --bootstrap-server {} --delete-offsets --group {name} --topic \
         {topic}, then start again",
        sink.spec.brokers
    )
}
