"""Accompaniment rhythms as text, one character per sixteenth (see `patterns`)."""

from __future__ import annotations

BLOCKS = {
    "default 3/4": "X---x---x---",
    "default 6/8": "X-----x-----",
    "whole": "X---------------",
    "whole 3/4": "X-----------",
    "whole 6/8": "X-----------",
    "halves": "X-------x-------",
    "quarters": "X--.x--.x--.x--.",
    "push": "X-----x-----x---",
    "pop_push": "X---x-.x--.x--x-X---x--x-.x-x--.",
    "charleston": "X--...x-............X-..x-......",
    "charleston 3/4": "X-....x-....",
    "jazz_comp": "..x-....x--...x-....x-.......xx-X-....x-..........x-..x---......",
    "jazz_comp 3/4": "....x-..x-..X-....x---..",
    "bossa": "X--..X-...X-..X-..X-..X-...X-...",
    "funk_stabs": "..x...X...x..X....x...X.x....x..",
    "clav": "X.xx..x.x.x..xx.",
    "scratch": "ggXgggXg.gXggX.gggXg.gX.ggXgX.gg",
    "skank": "..X...X...X...X.",
    "bubble": "x.X.xxX.x.X.xxX.",
    "offbeats": "..X-..X-..X-..X-",
    "house_piano": "X..X..X...X..X..",
    "ostinato": "x.x.X.x.x.x.X.x.",
    "stabs": "X..x......X.....................",
    "hits": "..............X-X...............",
    "boogie": "X.x.X.x.X.x.X.x.",
}
"""All voices together: `X` loud, `x` normal, `g` a muted scratch."""

POWER = {
    "default 6/8": "X-x-x-X-x-x-",
    "power_eighths": "X-x-x-x-X-x-x-x-",
    "power_push": "X-----x-----X-x-",
    "power_whole": "X---------------",
    "gallop": "X.xxX.xxX.xxX.xx",
    "chugs": "X.xx..x.X.x..xx.",
}
"""Root, fifth and octave."""

STRUMS = {
    "default 3/4": "D---d-u-d-u-",
    "default 6/8": "D-d-u-D-d-u-",
    "pop_strum": "D---D-U---U-D-U-",
    "sixteen_strum": "D-duD-dud-duD-du",
    "ballad_strum": "D-------d---d-u-",
}
"""Guitar strokes: `D` and `d` downward, `U` and `u` upward."""

ARPEGGIOS = {
    "default 3/4": "0-1-2-3-2-1-",
    "default 6/8": "0-1-2-3-2-1-",
    "up": "0-1-2-3-4-3-2-1-",
    "broken": "0-2-1-2-3-2-1-2-",
    "picking": "0-2-1-3-0-2-1-3-",
    "sixteenths": "0123210131232101",
}
"""One voice at a time, counted from the lowest."""

RIFFS = {
    "default 6/8": "R-----5-8-7-",
    "riff_rock": "R.R.8.R.7-5-....R.R.8.7-5-3-R...",
    "riff_metal": "R.RR8.RR7.RR5.R.R.RR8.RR5.7.R.R.",
}
"""A single line of chord tones, named as in `BASS`."""

BASS = {
    "default 3/4": "R-------5-a-",
    "default 6/8": "R-----5---a-",
    "roots": "R---------------",
    "roots 3/4": "R-----------",
    "roots 6/8": "R-----R-----",
    "root_fifth": "R-----5-----5-a-",
    "eighths": "R-R-R-R-R-R-R-R-R-R-R-R-R-R-R-a-",
    "octaves": "R-8-R-8-R-8-R-8-",
    "syncopated": "R--R--R-..R-5-a-",
    "sixteenths": "R.RRR.RRR.R8R.RR",
    "offbeat": "R.8-..R-..R-..8-",
    "gallop": "R.RRR.RRR.RRR.RR",
    "pedal": "T-T-T-T-T-T-T-T-",
    "pedal 6/8": "T-----T-T-T-",
    "funk": "R.rR..8-..7.R.a-R.rR..5-8..r7-a.",
    "slap": "R..8.rR8..R.7.8.R..8.rR.7-8.5.a.",
    "walking": "W---W---W---W---",
    "walking 3/4": "W---W---W---",
    "two_feel": "R-------5-------",
    "two_feel 3/4": "R-----------",
    "bossa": "R-----5-5-----R-R-----5-5---R-a-",
    "dub": "R---..R-3-5-....R---..5-..3-R...",
    "one_drop": "R-......R-3-5---R-......5-3-R---",
    "boogie": "R-R-3-3-5-5-6-6-8-8-6-6-5-5-3-3-",
}
"""`R` root (`r` soft), `3 5 6 7 8` chord tones, `T` tonic if the chord holds it, `a` a step to the next root,
`W` the next note of a walking line."""
