"""The compiled scanner: bytes to chunk numbers at memory speed, and chunk numbers to token ids."""

from __future__ import annotations

import numpy as np
from numba import njit

END = -1  # a sentence ends here
MAYBE_END = -2  # a full stop: a sentence ends here unless the chunk before it is an abbreviation


@njit(cache=True, nogil=True)
def _same(data, start, pool, begin, length, fold):
    for k in range(length):  # noqa: SIM110 - a generator is slow here
        if fold[data[start + k]] != pool[begin + k]:
            return False
    return True


@njit(cache=True, nogil=True)
def scan(data, position, inside, fold, by_line, state, out, pool, slots, hashes, tails, begins, counts):
    """Chunks of `data` from `position` on as numbers; new chunks are entered in the table.

    Stops early, before a chunk, when the output or the table is near full; the caller makes room and calls again.

    Args:
        data: UTF-8 bytes [N] that end at a separator.
        position: Where to go on.
        inside: Which bytes belong to chunks [256].
        fold: What each byte becomes [256]: ASCII capitals may be folded.
        by_line: A newline ends a sentence; otherwise `.!?` before white space and blank lines do.
        state: [2] carried from block to block: the sentence end that waits for white space, and whether a line just ended.
        out: Chunk numbers, `END` and `MAYBE_END` [M].
        pool: Bytes of all chunks.
        slots: Open-addressing table, -1 where empty; its length is a power of two.
        hashes: Hash of each chunk.
        tails: Last eight bytes of each chunk.
        begins: Where each chunk begins in `pool`; entry n is its end.
        counts: [1] number of chunks.

    Returns:
        The position reached and how much of `out` is filled.
    """
    n_out = 0
    n = len(data)
    mask = np.uint64(len(slots) - 1)
    num = counts[0]
    pending = state[0]
    fresh_line = state[1]
    max_num = min(len(hashes), len(slots) // 2)
    while position < n:
        byte = data[position]
        if not inside[byte]:
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
        hash_, tail = np.uint64(14695981039346656037), np.uint64(0)
        end = position
        while end < n:  # one pass finds the end and the hash
            byte = data[end]
            if not inside[byte]:
                break
            byte = np.uint64(fold[byte])
            hash_ = (hash_ ^ byte) * np.uint64(1099511628211)
            tail = (tail << np.uint64(8)) | byte
            end += 1
        length = end - position
        if num >= max_num or begins[num] + length > len(pool) or n_out + 4 >= len(out):
            break
        hash_ ^= hash_ >> np.uint64(29)
        slot = hash_ & mask
        while True:
            chunk = slots[slot]
            if chunk < 0:
                begin = begins[num]
                for k in range(length):
                    pool[begin + k] = fold[data[position + k]]
                begins[num + 1] = begin + length
                hashes[num] = hash_
                tails[num] = tail
                slots[slot] = num
                chunk = num
                num += 1
                break
            begin = begins[chunk]
            # the last eight bytes are all there is to compare of a short chunk
            same = tails[chunk] == tail and begins[chunk + 1] - begin == length
            if same and (length <= 8 or _same(data, position, pool, begin, length, fold)):
                break
            slot = (slot + np.uint64(1)) & mask
        # an apostrophe that closes a quotation leaves a waiting sentence end as it is; any other chunk cancels it
        if pending != 0 and not (length == 1 and data[position] == 39):
            pending = 0
        fresh_line = 0
        out[n_out] = chunk
        n_out += 1
        position = end
    counts[0] = num
    state[0] = pending
    state[1] = fresh_line
    return position, n_out


@njit(cache=True, nogil=True)
def rehash(slots, hashes, num):
    """Enter `num` chunks anew in a larger, empty table."""
    mask = np.uint64(len(slots) - 1)
    for chunk in range(num):
        slot = hashes[chunk] & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = chunk


@njit(cache=True, nogil=True)
def expand(chunks, num_events, single, token_begin, token_ids, flags, open_words, max_words, ids, ends, counts):
    """Chunk numbers to token ids.

    Args:
        chunks: What `scan` gave [M].
        num_events: How many of them.
        single: Of a chunk that is one token, its id * 4 + its flag, all in one place; of others -1.
        token_begin: Where each chunk's tokens begin in `token_ids`; entry n is its end.
        token_ids: Token ids of all chunks.
        flags: Per chunk: 1 is an abbreviation, 2 ends a sentence by itself, 0 neither.
        open_words: [2] the words of the unfinished sentence so far, and the last chunk; carried from block to block.
        max_words: A longer sentence is cut.
        ids: Filled with token ids.
        ends: Filled with positions in `ids` at which a sentence ends.
        counts: Occurrences by token id, added to.

    Returns:
        How much of `ids` and of `ends` is filled.
    """
    n_ids, n_ends = 0, 0
    words, last = open_words[0], open_words[1]
    for event in range(num_events):
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
