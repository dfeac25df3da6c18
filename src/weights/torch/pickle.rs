//! A reader of the pickles that `torch.save` writes for a dictionary of tensors, and of no others.
//!
//! A pickle is a program for a stack machine which may import and call anything. Here nothing is called: the few
//! names that tensors need stand for constants ([`Global`]), every other name and every other opcode is refused, and
//! what is built is plain data. All of it lives in tables, values refer to them by number, so that neither a cycle
//! nor a depth of nesting costs more than its bytes. Memory grows with the bytes that were read, never with a number
//! in them.
//!
//! Longer than most files: all that a pickle may say stands in this one place, so that it can be read as a list.
//!
//! Opcodes: CPython's `Lib/pickletools.py`. What they make: `torch/_utils.py` and `torch/serialization.py`.

mod bytes;
mod stack;

use super::{Storage, Tensor, shown};
use crate::error::{Error, Result};
use crate::weights::header::{CAP_DIMS, CAP_TENSORS, Dtype};
use bytes::Bytes;
use stack::Stack;

/// The most opcodes run: GPT-2 small needs about 7,000.
pub(super) const CAP_OPCODES: usize = 500_000;
/// The most values on the stack or in the memo. Python writes a dictionary in parts of 1,000 entries.
pub(super) const CAP_VALUES: usize = 65_536;

/// The names that a pickle of tensors may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// The type of a storage: the name says the type of its elements.
    Elements(Dtype),
}

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", "FloatStorage") => Global::Elements(Dtype::F32),
            ("torch", "HalfStorage") => Global::Elements(Dtype::F16),
            ("torch", "BFloat16Storage") => Global::Elements(Dtype::Bf16),
            ("torch", "ByteStorage") => Global::Elements(Dtype::U8),
            ("torch", "BoolStorage") => Global::Elements(Dtype::Bool),
            ("torch", "LongStorage") => Global::Elements(Dtype::I64),
            _ => return None,
        })
    }
}

/// A value on the stack; those with parts are numbers of rows in the machine's tables.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    None,
    Bool,
    Int(i64),
    Text(&'a str),
    Global(Global),
    Tuple(usize),
    Dict(usize),
    Storage(usize),
    Tensor(usize),
}

impl Value<'_> {
    fn kind(self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool => "a bool",
            Value::Int(_) => "a number",
            Value::Text(_) => "a string",
            Value::Global(_) => "a function or type",
            Value::Tuple(_) => "a tuple",
            Value::Dict(_) => "a dictionary",
            Value::Storage(_) => "a storage",
            Value::Tensor(_) => "a tensor",
        }
    }
}

/// The tensors of a pickled dictionary, in its order; a name may occur twice.
///
/// # Errors
/// `file.pickle` when the pickle uses a name or an opcode that tensors do not need, when it breaks the rules of its
/// own format or a cap of this module, or when it is anything but one flat dictionary of tensors, or such a one under the
/// name `model` or `state_dict` beside plain values, as training scripts save it.
pub(super) fn tensors<'a>(bytes: &'a [u8]) -> Result<Vec<(&'a str, Tensor<'a>)>> {
    let mut machine = Machine { bytes: Bytes::new(bytes), ..Default::default() };
    let result = machine.run().map_err(|fault| {
        Error::input("file.pickle", format!("byte {} of data.pkl: {}", machine.opcode_at, fault.message))
            .with_action(fault.action)
    })?;
    let wrong =
        |message: String| Error::input("file.pickle", format!("data.pkl: {message}")).with_action(RESAVE);
    let Value::Dict(dict) = result else {
        return Err(wrong(format!("it is {}, expected a dictionary of tensors", result.kind())));
    };
    let entries = machine.entries(machine.nested(dict));
    if entries.len() > CAP_TENSORS {
        let n = entries.len();
        return Err(wrong(format!("the dictionary has {n} tensors, expected at most {CAP_TENSORS}")));
    }
    let entry = |(key, value): &(Value<'a>, Value<'a>)| match (key, value) {
        (Value::Text(name), Value::Tensor(tensor)) => {
            let tensor = machine.tensors.get(*tensor).cloned();
            tensor.map(|tensor| (*name, tensor)).ok_or_else(|| wrong("a tensor is lost".into()))
        }
        (Value::Text(name), other) => {
            Err(wrong(format!("'{}' is {}, expected a tensor", shown(name), other.kind())))
        }
        (other, _) => Err(wrong(format!("a key is {}, expected a string", other.kind()))),
    };
    entries.iter().map(entry).collect()
}

const RESAVE: &str = "Save the tensors alone, torch.save(model.state_dict(), …), or as model.safetensors.";
const CUT: &str = "The file may be damaged: get it again.";

/// What is wrong with the opcode that was being run.
struct Fault {
    message: String,
    action: &'static str,
}

type Step<T> = std::result::Result<T, Fault>;

fn damaged<T>(message: impl Into<String>) -> Step<T> {
    Err(Fault { message: message.into(), action: CUT })
}

fn refused<T>(message: String) -> Step<T> {
    Err(Fault { message, action: RESAVE })
}

#[derive(Default)]
struct Machine<'a> {
    bytes: Bytes<'a>,
    /// Where the opcode being run stands.
    opcode_at: usize,
    stack: Stack<'a>,
    tuples: Vec<Vec<Value<'a>>>,
    dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    storages: Vec<Storage<'a>>,
    tensors: Vec<Tensor<'a>>,
}

impl<'a> Machine<'a> {
    /// Runs to STOP.
    fn run(&mut self) -> Step<Value<'a>> {
        for _ in 0..CAP_OPCODES {
            self.opcode_at = self.bytes.at();
            match self.bytes.byte()? {
                b'.' if self.bytes.is_at_end() => return self.stack.pop(),
                b'.' => return damaged("the pickle ends before its bytes do"),
                opcode => self.step(opcode)?,
            }
        }
        refused(format!("more than {CAP_OPCODES} opcodes"))
    }

    fn step(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            0x80 => match self.bytes.byte()? {
                2..=5 => Ok(()),
                protocol => refused(format!("pickle protocol {protocol}, expected 2 to 5")),
            },
            0x95 => self.bytes.take(8).map(drop), // FRAME: how many bytes follow, for readers from a pipe
            b'(' => self.stack.mark(),
            b'q' => self.bytes.number(1).and_then(|id| self.stack.remember(id)),
            b'r' => self.bytes.number(4).and_then(|id| self.stack.remember(id)),
            0x94 => self.stack.remember(self.stack.next_id()), // MEMOIZE
            b's' => {
                let items = self.stack.pop_n(2)?;
                self.fill(&items)
            }
            b'u' => {
                let items = self.stack.pop_mark()?;
                self.fill(&items)
            }
            // BUILD sets attributes. Those of a dictionary (torch's `_metadata`) change no tensor.
            b'b' => {
                self.stack.pop()?;
                self.fill(&[])
            }
            _ => {
                let value = self.value(opcode)?;
                self.stack.push(value)
            }
        }
    }

    /// What an opcode puts on the stack.
    fn value(&mut self, opcode: u8) -> Step<Value<'a>> {
        Ok(match opcode {
            b'c' => {
                let (module, name) = (self.bytes.line()?, self.bytes.line()?);
                global(module, name)?
            }
            0x93 => match self.stack.pop_n(2)?[..] {
                [Value::Text(module), Value::Text(name)] => global(module, name)?,
                _ => return damaged("a name that is not a string"),
            },
            // INST, of protocol 0, imports and calls in one. Its name says what it was after.
            b'i' => {
                let (module, name) = (self.bytes.line()?, self.bytes.line()?);
                global(module, name)?;
                return refused_opcode(opcode);
            }
            b'h' => self.stack.recall(self.bytes.number(1)?)?,
            b'j' => self.stack.recall(self.bytes.number(4)?)?,
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'K' => Value::Int(self.bytes.number(1)?.into()),
            b'M' => Value::Int(self.bytes.number(2)?.into()),
            b'J' => Value::Int(self.bytes.number(4)?.cast_signed().into()),
            0x8A => Value::Int(self.bytes.long()?),
            b'X' => {
                let n = self.bytes.number(4)?;
                Value::Text(self.bytes.text(n as usize)?)
            }
            0x8C => {
                let n = self.bytes.number(1)?;
                Value::Text(self.bytes.text(n as usize)?)
            }
            b'}' => self.new_dict(),
            b')' => self.tuple(Vec::new()),
            b't' => {
                let values = self.stack.pop_mark()?;
                self.tuple(values)
            }
            0x85..=0x87 => {
                let values = self.stack.pop_n(usize::from(opcode - 0x84))?;
                self.tuple(values)
            }
            b'Q' => {
                let id = self.stack.pop().and_then(|id| self.parts(id))?;
                self.storage(&id)?
            }
            b'R' => {
                let arguments = self.stack.pop().and_then(|arguments| self.parts(arguments))?;
                let function = self.stack.pop()?;
                self.reduce(function, &arguments)?
            }
            _ => return refused_opcode(opcode),
        })
    }

    /// What a call makes, for the three functions that make tensors.
    fn reduce(&mut self, function: Value<'a>, arguments: &[Value<'a>]) -> Step<Value<'a>> {
        match (function, arguments) {
            (Value::Global(Global::OrderedDict), []) => Ok(self.new_dict()),
            (
                Value::Global(Global::RebuildTensor),
                [Value::Storage(storage), Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides), ..],
            ) => {
                let Some(storage) = self.storages.get(*storage).copied() else {
                    return damaged("a storage is lost");
                };
                if self.tensors.len() == CAP_TENSORS {
                    return refused(format!("more than {CAP_TENSORS} tensors"));
                }
                let tensor = Tensor {
                    storage,
                    offset: natural(Value::Int(*offset))?,
                    shape: self.naturals(*shape)?,
                    strides: self.naturals(*strides)?,
                };
                self.tensors.push(tensor);
                Ok(Value::Tensor(self.tensors.len() - 1))
            }
            (Value::Global(Global::RebuildParameter), [tensor @ Value::Tensor(_), ..]) => Ok(*tensor),
            (function, arguments) => {
                let kinds = arguments.iter().take(6).map(|argument| argument.kind()).collect::<Vec<_>>();
                let what = match function {
                    Value::Global(global) => format!("{global:?}"),
                    other => other.kind().to_owned(),
                };
                refused(format!("{what} called with ({})", kinds.join(", ")))
            }
        }
    }

    /// A persistent id, `("storage", type, key, device, elements)`: the entry `data/key` of the archive.
    fn storage(&mut self, id: &[Value<'a>]) -> Step<Value<'a>> {
        let [
            Value::Text("storage"),
            Value::Global(Global::Elements(dtype)),
            Value::Text(key),
            Value::Text(_),
            elements,
        ] = id
        else {
            return refused("a persistent id that is not one of a storage".into());
        };
        let storage = Storage { dtype: *dtype, key, elements: natural(*elements)? };
        self.storages.push(storage);
        Ok(Value::Storage(self.storages.len() - 1))
    }

    fn naturals(&self, tuple: usize) -> Step<Vec<u64>> {
        let values = self.tuples.get(tuple).map(Vec::as_slice).unwrap_or_default();
        if values.len() > CAP_DIMS {
            return refused(format!("a tensor of {} dimensions, expected at most {CAP_DIMS}", values.len()));
        }
        values.iter().map(|value| natural(*value)).collect()
    }

    fn entries(&self, dict: usize) -> &[(Value<'a>, Value<'a>)] {
        self.dicts.get(dict).map(Vec::as_slice).unwrap_or_default()
    }

    /// The one dictionary that this one holds as `model` or `state_dict`, where all else in it is plain; else itself.
    fn nested(&self, dict: usize) -> usize {
        let mut inner = None;
        for entry in self.entries(dict) {
            match entry {
                (Value::Text("model" | "state_dict"), Value::Dict(dict)) if inner.is_none() => {
                    inner = Some(*dict)
                }
                (Value::Text(_), Value::None | Value::Bool | Value::Int(_) | Value::Text(_)) => {}
                _ => return dict,
            }
        }
        inner.unwrap_or(dict)
    }

    fn new_dict(&mut self) -> Value<'a> {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    fn tuple(&mut self, values: Vec<Value<'a>>) -> Value<'a> {
        self.tuples.push(values);
        Value::Tuple(self.tuples.len() - 1)
    }

    /// Puts keys and values, by turns, into the dictionary on top of the stack, which stays there.
    fn fill(&mut self, items: &[Value<'a>]) -> Step<()> {
        let dict = match self.stack.top()? {
            Value::Dict(dict) => self.dicts.get_mut(dict),
            other => return refused(format!("fills {}, expected a dictionary", other.kind())),
        };
        let (pairs, []) = items.as_chunks::<2>() else { return damaged("a key without a value") };
        match dict {
            Some(dict) => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            None => return damaged("a dictionary is lost"),
        }
        Ok(())
    }

    /// The first values of a tuple. Ids and arguments have five to seven: no more are copied.
    fn parts(&self, tuple: Value<'a>) -> Step<Vec<Value<'a>>> {
        let Value::Tuple(tuple) = tuple else {
            return refused(format!("{} where a tuple should be", tuple.kind()));
        };
        Ok(self.tuples.get(tuple).into_iter().flatten().take(8).copied().collect())
    }
}

/// A name from a module: one of the few, or a refusal by its own name. It is never looked up anywhere.
fn global<'a>(module: &str, name: &str) -> Step<Value<'a>> {
    if let Some(global) = Global::find(module, name) {
        return Ok(Value::Global(global));
    }
    let full = format!("{}.{}", shown(module), shown(name));
    if module == "torch" && name.ends_with("Storage") {
        return refused(format!(
            "a tensor of {full}; tensors of F32, F16 and BF16 are read, and buffers of U8, BOOL and I64"
        ));
    }
    refused(format!("it asks for {full}, which no tensor needs; nothing of it was run"))
}

fn refused_opcode<T>(opcode: u8) -> Step<T> {
    refused(format!("opcode 0x{opcode:02X}, which no dictionary of tensors needs"))
}

fn natural(value: Value) -> Step<u64> {
    match value {
        Value::Int(n) => {
            u64::try_from(n).or_else(|_| refused(format!("the number {n} where none is below 0")))
        }
        other => refused(format!("{} where a number should be", other.kind())),
    }
}
