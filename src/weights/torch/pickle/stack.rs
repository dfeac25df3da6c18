//! The stack of a pickle with its marks, and the memo.

use super::{CAP_VALUES, Step, Value, damaged, refused};
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Stack<'a> {
    values: Vec<Value<'a>>,
    /// How many values lay on the stack at each MARK that is open.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value<'a>>,
}

impl<'a> Stack<'a> {
    pub fn push(&mut self, value: Value<'a>) -> Step<()> {
        if self.values.len() == CAP_VALUES {
            return refused(format!("more than {CAP_VALUES} values at once"));
        }
        self.values.push(value);
        Ok(())
    }

    pub fn mark(&mut self) -> Step<()> {
        if self.marks.len() == CAP_VALUES {
            return refused(format!("more than {CAP_VALUES} marks at once"));
        }
        self.marks.push(self.values.len());
        Ok(())
    }

    /// The value on top, left there.
    pub fn top(&self) -> Step<Value<'a>> {
        self.values.last().copied().map_or_else(|| damaged("the stack is empty"), Ok)
    }

    pub fn pop(&mut self) -> Step<Value<'a>> {
        let top = self.top()?;
        self.pop_n(1)?;
        Ok(top)
    }

    /// The `n` values on top, the first pushed first; those below an open MARK stay.
    pub fn pop_n(&mut self, n: usize) -> Step<Vec<Value<'a>>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.values.len().checked_sub(n) {
            Some(left) if left >= floor => Ok(self.values.split_off(left)),
            _ => damaged("the stack is empty"),
        }
    }

    /// The values since the last MARK, which is closed.
    pub fn pop_mark(&mut self) -> Step<Vec<Value<'a>>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.values.split_off(mark.min(self.values.len()))),
            None => damaged("no MARK is open"),
        }
    }

    /// Puts the value on top into the memo.
    pub fn remember(&mut self, id: u32) -> Step<()> {
        if self.memo.len() == CAP_VALUES && !self.memo.contains_key(&id) {
            return refused(format!("more than {CAP_VALUES} values in the memo"));
        }
        self.memo.insert(id, self.top()?);
        Ok(())
    }

    pub fn recall(&self, id: u32) -> Step<Value<'a>> {
        self.memo.get(&id).copied().map_or_else(|| damaged(format!("memo {id} is empty")), Ok)
    }

    /// The next number that MEMOIZE gives.
    pub fn next_id(&self) -> u32 {
        // At most CAP_VALUES.
        self.memo.len() as u32
    }
}
