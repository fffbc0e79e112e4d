"""The compiled scanner: bytes to chunk numbers at memory speed, and chunk numbers to token ids.

It is fast because eight bytes are read as one number: the marks of eight bytes give the end of a chunk without a loop, and with it the
bytes and the hash. A chunk of at most eight letters is identified by its first eight bytes and its length, which are stored beside its
number in the table, so that one cache line is enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rl_core.compiling import jit

END = -1  # a sentence ends here
MAYBE_END = -2  # a full stop: a sentence ends here unless the chunk before it is an abbreviation
PADDING = bytes(8)  # after a block's bytes and after its marks: reading eight at once may reach so far

_ONES = np.uint64(0x0101010101010101)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


class Table(NamedTuple):
    """The scanner's hash table of chunks.

    Attributes:
        pool: Bytes of all chunks, eight to a number; the last number of a chunk is filled up with zeros.
        entries: Open-addressing table [slots, 2]: a chunk's first eight bytes; its length times 2^32 plus its number plus 1, or 0 if the
            slot is empty. The number of slots is a power of two.
        begins: First number of each chunk in `pool`; entry n is the end.
        lengths: Bytes of each chunk.
        num: Number of chunks [1].
    """

    pool: np.ndarray
    entries: np.ndarray
    begins: np.ndarray
    lengths: np.ndarray
    num: np.ndarray


class Tokens(NamedTuple):
    """The tokens of each chunk.

    Attributes:
        single: For a chunk of one token its id * 4 + its flag, in one place; for others -1.
        begins: First token of each chunk in `ids`; entry n is the end.
        ids: Token ids of all chunks.
        flags: Per chunk: 1 is an abbreviation, 2 ends a sentence by itself, 0 neither.
    """

    single: np.ndarray
    begins: np.ndarray
    ids: np.ndarray
    flags: np.ndarray


@jit(nogil=True, inline="always")
def _eight(data, place):
    """Return eight bytes as one number, the first lowest; the compiler makes it one load as long as no index can be negative."""
    at = np.uint64(place)
    low = np.uint64(data[at]) | np.uint64(data[at + np.uint64(1)]) << np.uint64(8)
    low |= np.uint64(data[at + np.uint64(2)]) << np.uint64(16) | np.uint64(data[at + np.uint64(3)]) << np.uint64(24)
    high = np.uint64(data[at + np.uint64(4)]) << np.uint64(32) | np.uint64(data[at + np.uint64(5)]) << np.uint64(40)
    high |= np.uint64(data[at + np.uint64(6)]) << np.uint64(48) | np.uint64(data[at + np.uint64(7)]) << np.uint64(56)
    return low | high


@jit(nogil=True, inline="always")
def _until_gap(marks, place):
    """Return eight bytes as one number: all ones in those before the first byte without a mark."""
    gaps = _eight(marks, place) ^ _ONES
    return (gaps & (~gaps + np.uint64(1))) - np.uint64(1)


@jit(nogil=True, inline="always")
def _length(ones):
    """Return how many bytes `_until_gap` found."""
    return np.int64(((ones & _ONES) * _ONES) >> np.uint64(56))


@jit(nogil=True, inline="always")
def _next_hash(hash_, eight):
    """Return the hash of a chunk with eight more bytes; its upper bits are the well mixed ones."""
    return (hash_ ^ (hash_ >> _HALF) ^ eight) * _MULTIPLIER


@jit(nogil=True)
def _shift(entries):
    """Return how far a hash is shifted to become a slot of the table."""
    shift, slots = 64, len(entries)
    while slots > 1:
        shift, slots = shift - 1, slots // 2
    return np.uint64(shift)


@jit(nogil=True)
def _same_rest(data, marks, position, length, pool, begin):
    """Return whether a chunk equals a known one of the same length and the same first eight bytes in all others."""
    for k in range(8, length, 8):  # noqa: SIM110 - a generator is slow here
        if pool[begin + (k >> 3)] != _eight(data, position + k) & _until_gap(marks, position + k):
            return False
    return True


@jit(nogil=True)
def scan(data, marks, position, by_line, state, out, table):
    """Write the chunks of `data` from `position` on to `out` as numbers; new chunks are entered in the table.

    Stops early, before a chunk, when the output or the table is nearly full; the caller makes room and calls again.

    Args:
        data: UTF-8 bytes that end at a separator, and `PADDING` [N + 8].
        marks: For each byte 1 if it belongs to a chunk, else 0, and `PADDING` [N + 8].
        position: The first byte to read.
        by_line: A newline ends a sentence; otherwise `.!?` before white space and blank lines do.
        state: [2] carried from block to block: the sentence end that waits for white space, and whether a line just ended.
        out: Chunk numbers, `END` and `MAYBE_END` [M].
        table: A `Table`.

    Returns:
        The position reached and the number of entries written to `out`.
    """
    pool, entries, begins, lengths, counts = table
    n_out = 0
    n = len(data) - len(PADDING)
    mask, shift = np.uint64(len(entries) - 1), _shift(entries)
    num = counts[0]
    pending = state[0]
    fresh_line = state[1]
    max_num = min(len(lengths), len(entries) // 2)
    while position < n:
        if not marks[position]:
            byte = data[position]
            if byte == 10:
                if by_line or fresh_line == 1:
                    out[n_out] = END
                    n_out += 1
                    pending = 0
                fresh_line = 1
            if byte == 32 or (9 <= byte <= 13):
                if pending != 0 and not by_line:
                    out[n_out] = pending
                    n_out += 1
                pending = 0
            else:
                fresh_line = 0
                if byte == 46:
                    pending = MAYBE_END if pending != END else END
                elif byte == 33 or byte == 63:
                    pending = END
                elif byte != 34 and byte != 41 and byte != 93:
                    pending = 0
            position += 1
            if n_out + 4 >= len(out):
                break
            continue
        ones = _until_gap(marks, position)
        first, length = _eight(data, position) & ones, _length(ones)
        hash_ = first * _MULTIPLIER
        while marks[position + length]:  # longer than eight bytes, one in twenty
            ones = _until_gap(marks, position + length)
            hash_ = _next_hash(hash_, _eight(data, position + length) & ones)
            length += _length(ones)
        if num >= max_num or begins[num] + (length + 7) // 8 > len(pool) or n_out + 4 >= len(out):
            break
        slot = hash_ >> shift
        while True:
            entry = entries[slot, 1]
            if entry == 0:
                begin = begins[num]
                for k in range(0, length, 8):
                    pool[begin + (k >> 3)] = _eight(data, position + k) & _until_gap(marks, position + k)
                begins[num + 1] = begin + (length + 7) // 8
                lengths[num] = length
                chunk = num
                num += 1
                entries[slot, 0] = first
                entries[slot, 1] = np.uint64(length) << _HALF | np.uint64(num)
                break
            if entries[slot, 0] == first and np.int64(entry >> _HALF) == length:
                chunk = np.int64(np.uint32(entry)) - 1
                if length <= 8 or _same_rest(data, marks, position, length, pool, begins[chunk]):
                    break
            slot = (slot + np.uint64(1)) & mask
        # an apostrophe that closes a quotation leaves a waiting sentence end as it is; any other chunk cancels it
        if pending != 0 and not (length == 1 and data[position] == 39):
            pending = 0
        fresh_line = 0
        out[n_out] = chunk
        n_out += 1
        position += length
    counts[0] = num
    state[0] = pending
    state[1] = fresh_line
    return position, n_out


@jit(nogil=True)
def rehash(table):
    """Enter all chunks in a larger, empty array of entries."""
    pool, entries, begins, lengths, counts = table
    num = counts[0]
    mask, shift = np.uint64(len(entries) - 1), _shift(entries)
    for chunk in range(num):
        first = pool[begins[chunk]]
        hash_ = first * _MULTIPLIER
        for place in range(begins[chunk] + 1, begins[chunk + 1]):
            hash_ = _next_hash(hash_, pool[place])
        slot = hash_ >> shift
        while entries[slot, 1] != 0:
            slot = (slot + np.uint64(1)) & mask
        entries[slot, 0] = first
        entries[slot, 1] = np.uint64(lengths[chunk]) << _HALF | np.uint64(chunk + 1)


@jit(nogil=True)
def expand(chunks, tokens, open_words, max_words, ids, ends, counts):
    """Turn chunk numbers into token ids.

    Args:
        chunks: Output of `scan` [M].
        tokens: A `Tokens`.
        open_words: [2] words of the unfinished sentence so far, and the last chunk; carried from block to block.
        max_words: A longer sentence is cut.
        ids: Filled with token ids.
        ends: Filled with positions in `ids` at which a sentence ends.
        counts: Occurrences by token id, added to.

    Returns:
        The numbers of entries written to `ids` and to `ends`.
    """
    single, token_begin, token_ids, flags = tokens
    n_ids, n_ends = 0, 0
    words, last = open_words[0], open_words[1]
    for event in range(len(chunks)):
        chunk = chunks[event]
        if chunk < 0:
            if words > 0 and (chunk == END or last < 0 or flags[last] != 1):
                ends[n_ends] = n_ids
                n_ends += 1
                words = 0
            continue
        packed = np.int64(single[chunk])
        if packed >= 0:
            flag, begin, end = packed & 3, 0, 1
        else:
            flag, begin, end = np.int64(flags[chunk]), token_begin[chunk], token_begin[chunk + 1]
        for k in range(begin, end):
            word = packed >> 2 if packed >= 0 else np.int64(token_ids[k])
            ids[n_ids] = word
            counts[word] += 1
            n_ids += 1
            words += 1
            if words >= max_words:
                ends[n_ends] = n_ids
                n_ends += 1
                words = 0
        last = chunk
        if flag == 2 and words > 0:
            ends[n_ends] = n_ids
            n_ends += 1
            words = 0
    open_words[0] = words
    open_words[1] = last
    return n_ids, n_ends
