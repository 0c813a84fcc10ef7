//! What an answer has cost, from what its agent says that the whole native session has cost.

/// A total that is smaller by this share at most has been rounded; a smaller one begins anew.
const ROUNDED: f64 = 0.01;

/// Reads totals, and counts what has come to them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Meter {
    /// The last total, in the agent's currency; `None` when none is known.
    last: Option<f64>,
    /// What has come to it.
    spent: f64,
}

impl Meter {
    /// From now on the totals are those of a native session with this last one.
    pub(super) fn moves_to(&mut self, last: Option<f64>) {
        self.last = last;
    }

    /// The agent has told a total. The first one of a native session that had none before it says only where it stands.
    pub(super) fn told(&mut self, total: f64) {
        if !total.is_finite() || total < 0.0 {
            return;
        }
        self.spent += match self.last {
            None => 0.0,
            Some(last) if total >= last * (1.0 - ROUNDED) => (total - last).max(0.0),
            // The agent counts anew: it has forgotten what was before, and we have not.
            Some(_) => total,
        };
        self.last = Some(total);
    }

    /// The last total.
    pub(super) fn last(&self) -> Option<f64> {
        self.last
    }

    /// What has come to it.
    pub(super) fn spent(&self) -> f64 {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(last: Option<f64>, totals: &[f64]) -> f64 {
        let mut meter = Meter::default();
        meter.moves_to(last);
        totals.iter().for_each(|total| meter.told(*total));
        (meter.spent() * 1e6).round() / 1e6
    }

    #[test]
    fn only_what_has_come_to_the_last_total_counts() {
        assert_eq!(spent(Some(0.0), &[0.25]), 0.25);
        assert_eq!(spent(Some(1.0), &[1.0, 1.25, 1.5]), 0.5);
    }

    #[test]
    fn a_smaller_total_is_one_that_begins_anew() {
        assert_eq!(spent(Some(9.0), &[0.25]), 0.25);
        assert_eq!(spent(Some(9.0), &[9.5, 0.25, 0.5]), 1.0);
        // It was only rounded.
        assert_eq!(spent(Some(9.0), &[8.999]), 0.0);
    }

    #[test]
    fn a_first_total_of_a_session_that_is_older_says_nothing_about_this_answer() {
        assert_eq!(spent(None, &[46.0]), 0.0);
        assert_eq!(spent(None, &[46.0, 46.5]), 0.5);
    }

    #[test]
    fn what_is_no_amount_is_not_counted() {
        assert_eq!(spent(Some(1.0), &[f64::NAN, f64::INFINITY, -3.0, 1.5]), 0.5);
    }

    #[test]
    fn an_answer_may_go_on_in_another_native_session() {
        let mut meter = Meter::default();
        meter.moves_to(Some(5.0));
        meter.told(5.25);
        meter.moves_to(Some(0.0));
        meter.told(0.5);
        assert_eq!((meter.spent(), meter.last()), (0.75, Some(0.5)));
    }
}
