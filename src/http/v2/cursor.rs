//! Pages of lists, and the cursors between them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::Params;
use crate::http::opaque;
use crate::opencode::v2::answer::Cursors;

/// Entries of a page when the request does not say.
pub const PAGE: usize = 50;
/// Entries of a page at most.
pub const PAGE_MAX: usize = 10_000;

/// Which end of a list comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ListOrder)]
pub enum Order {
    /// The oldest entry.
    Asc,
    /// The newest entry.
    Desc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Previous,
    Next,
}

/// A place in a list. Clients get it as opaque text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    id: String,
    order: Order,
    direction: Direction,
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    limit: usize,
    order: Order,
    cursor: Option<Cursor>,
}

impl Page {
    /// Reads `limit`, `order` and `cursor` of a query.
    ///
    /// # Errors
    /// When one of them cannot be understood.
    pub fn of(params: &Params) -> Result<Self, Problem> {
        let limit = params.between("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE);
        let cursor = params.text("cursor").map(parse).transpose()?;
        let order = params.word("order", &[("asc", Order::Asc), ("desc", Order::Desc)])?;
        let order = cursor
            .as_ref()
            .map(|c| c.order)
            .or(order)
            .unwrap_or(Order::Desc);
        Ok(Self {
            limit,
            order,
            cursor,
        })
    }

    /// Entries of the page at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether the oldest entry comes first.
    pub fn is_oldest_first(&self) -> bool {
        self.order == Order::Asc
    }

    /// The entry next to the page, and whether the page comes before it.
    ///
    /// # Errors
    /// When the cursor names none.
    pub fn starts_behind<T, E>(
        &self,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<(Option<T>, bool), Problem> {
        let Some(cursor) = &self.cursor else {
            return Ok((None, false));
        };
        let entry = parse(&cursor.id).map_err(|_| gone())?;
        Ok((Some(entry), cursor.direction == Direction::Previous))
    }

    /// The cursors of a page that was read from where [`Page::starts_behind`] says; `more` when there is
    /// more in that direction.
    pub fn cursors<T>(&self, page: &[T], more: bool, id: impl Fn(&T) -> String) -> Cursors {
        let (before, behind) = match self.cursor.as_ref().map(|c| c.direction) {
            None => (false, more),
            Some(Direction::Next) => (true, more),
            Some(Direction::Previous) => (more, true),
        };
        self.around(page, (before, behind), id)
    }

    /// The cursors of a page, as far as something comes before and after it.
    fn around<T>(
        &self,
        page: &[T],
        (before, behind): (bool, bool),
        id: impl Fn(&T) -> String,
    ) -> Cursors {
        let cursor = |entry: &T, direction| {
            opaque::write(&Cursor {
                id: id(entry),
                order: self.order,
                direction,
            })
        };
        let (first, last) = (
            page.first().filter(|_| before),
            page.last().filter(|_| behind),
        );
        Cursors {
            previous: first.map(|first| cursor(first, Direction::Previous)),
            next: last.map(|last| cursor(last, Direction::Next)),
        }
    }

    /// The page of a list whose oldest entry comes first.
    ///
    /// # Errors
    /// When the entry that the cursor names is there no more.
    pub fn cut<T>(
        &self,
        mut list: Vec<T>,
        id: impl Fn(&T) -> String,
    ) -> Result<(Vec<T>, Cursors), Problem> {
        if self.order == Order::Desc {
            list.reverse();
        }
        let (start, end) = match &self.cursor {
            None => (0, self.limit),
            Some(cursor) => {
                let at = list
                    .iter()
                    .position(|entry| id(entry) == cursor.id)
                    .ok_or_else(gone)?;
                match cursor.direction {
                    Direction::Next => (at + 1, (at + 1).saturating_add(self.limit)),
                    Direction::Previous => (at.saturating_sub(self.limit), at),
                }
            }
        };
        let (end, count) = (end.min(list.len()), list.len());
        let start = start.min(end);
        let page: Vec<T> = list.drain(start..end).collect();
        let cursors = self.around(&page, (start > 0, end < count), id);
        Ok((page, cursors))
    }
}

fn parse(text: &str) -> Result<Cursor, Problem> {
    opaque::read(text).ok_or_else(|| {
        Problem::cursor("Invalid cursor. Send one of an answer before, as it is, or none.")
    })
}

/// The entry of a cursor is not there any more.
pub fn gone() -> Problem {
    Problem::cursor("The entry that the cursor names is gone. Start again without a cursor.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: usize, order: Order, cursor: Option<&str>) -> Page {
        Page {
            limit,
            order,
            cursor: cursor.map(|text| parse(text).expect("a cursor")),
        }
    }

    fn cut(page: &Page) -> (Vec<u32>, Cursors) {
        page.cut((1..=5).collect(), u32::to_string).expect("a page")
    }

    #[test]
    fn pages_lead_to_each_other() {
        let (first, cursors) = cut(&page(2, Order::Desc, None));
        assert_eq!((first.as_slice(), &cursors.previous), (&[5, 4][..], &None));
        let (second, cursors) = cut(&page(2, Order::Desc, cursors.next.as_deref()));
        assert_eq!(second, [3, 2]);
        let (third, ends) = cut(&page(2, Order::Desc, cursors.next.as_deref()));
        assert_eq!((third.as_slice(), &ends.next), (&[1][..], &None));
        let (back, _) = cut(&page(2, Order::Desc, ends.previous.as_deref()));
        assert_eq!(back, [3, 2]);
        let (all, cursors) = cut(&page(9, Order::Asc, None));
        assert_eq!(
            (all.as_slice(), cursors),
            (&[1, 2, 3, 4, 5][..], Cursors::default())
        );
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for bad in ["zzz", "e30", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let (_, cursors) = cut(&page(2, Order::Asc, None));
        let next = page(2, Order::Asc, cursors.next.as_deref());
        assert!(
            next.cut(vec![7, 8, 9], u32::to_string).is_err(),
            "its entry is gone"
        );
    }
}
