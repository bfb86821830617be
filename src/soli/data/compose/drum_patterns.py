"""Drum grooves and fills as text, one character per sixteenth (see `patterns`).

`X` is loud, `x` normal, `g` a ghost note, `o` on the hat an open hat. No groove uses a tom: toms are for fills.
"""

from __future__ import annotations

PITCHES = {
    "kick": 36,
    "snare": 38,
    "rim": 37,
    "clap": 39,
    "hat": 42,
    "pedal": 44,
    "open": 46,
    "crash": 49,
    "crash2": 57,
    "ride": 51,
    "bell": 53,
    "china": 52,
    "tambourine": 54,
    "cowbell": 56,
    "shaker": 70,
    "cabasa": 69,
    "conga": 63,
    "low_conga": 64,
    "high_tom": 50,
    "mid_tom": 47,
    "low_tom": 45,
    "floor_tom": 43,
}
TOMS = ("high_tom", "mid_tom", "low_tom", "floor_tom")

Groove = dict[str, str]

GROOVES: dict[str, Groove] = {
    "pop": {"hat": "X.x.X.x.X.x.X.x.", "snare": "....X.......X...", "kick": "X.......X.x....."},
    "pop_sync": {
        "hat": "X.x.X.x.X.x.X.x.",
        "snare": "....X.......X...",
        "kick": "X..x..x...x.....X.....x...x..x..",
    },
    "backbeat": {"hat": "X.x.X.x.X.x.X.x.", "snare": "....X.......X...", "kick": "X.......X......."},
    "rock": {"hat": "X.x.X.x.X.x.X.x.", "snare": "....X.......X...", "kick": "X.x.....x.X.....X.x....xx.X....."},
    "driving": {"hat": "X.x.X.x.X.x.X.x.", "snare": "....X.......X...", "kick": "X.x...x.X.x...x."},
    "half_time": {"hat": "X.x.x.x.X.x.x.x.", "snare": "........X.......", "kick": "X.....x......x.."},
    "metal": {"hat": "X...X...X...X...", "snare": "....X.......X...", "kick": "X.xx..x.X.xx..x."},
    "double_kick": {"hat": "X...X...X...X...", "snare": "....X.......X...", "kick": "XxxxXxxxXxxxXxxx"},
    "thrash": {"hat": "X.x.X.x.X.x.X.x.", "snare": "..X...X...X...X.", "kick": "X.x.X.x.X.x.X.x."},
    "funk": {
        "hat": "X.xxX.xxX.xxX.ox",
        "snare": "....X..g.g..X..g",
        "kick": "X.X.......x..x..X.X....x..x.....",
    },
    "funk_linear": {"hat": "x.xx.xx.xx.x.xox", "snare": "....X..g.g..X...", "kick": "X..x......X..x.."},
    "swing": {
        "ride": "X...X.x.X...X.x.",
        "pedal": "....x.......x...",
        "kick": "g...g...g...g...",
        "snare": "......g.......g...........g.....",
    },
    "swing_brushes": {"ride": "X...x.x.X...x.x.", "pedal": "....x.......x...", "snare": "g.g.x.g.g.g.x.g."},
    "jazz_waltz": {"ride": "X...X.x.X...", "pedal": "....x...x...", "kick": "x...........", "snare": ".......g..g."},
    "bossa": {
        "hat": "x.x.x.x.x.x.x.x.",
        "rim": "x..x..x...x..x....x..x....x..x..",
        "kick": "X..xX..xX..xX..x",
    },
    "samba": {
        "shaker": "XxxXXxxXXxxXXxxX",
        "rim": "x.x..x.x.x..x.x.",
        "kick": "x..xX..xx..xX..x",
        "pedal": "..x...x...x...x.",
    },
    "house": {
        "kick": "X...X...X...X...",
        "clap": "....X.......X...",
        "hat": "..o...o...o...o.",
        "shaker": "x.xxx.xxx.xxx.xx",
    },
    "four_floor": {"kick": "X...X...X...X...", "snare": "....X.......X...", "hat": "x.o.x.o.x.o.x.o."},
    "electro": {
        "kick": "X..x..X...x..x..",
        "clap": "....X.......X...",
        "hat": "xxxxxxxxxxxxxxox",
        "cowbell": "..............x...x.............",
    },
    "breaks": {"kick": "X.X.......xx....", "snare": "....X..g.g..X..g", "hat": "x.x.x.x.x.x.x.o."},
    "ballad": {"hat": "x.x.x.x.x.x.x.x.", "snare": "....x.......x...", "kick": "X......xx......."},
    "slow_six": {"hat": "X.x.x.X.x.x.", "snare": "......X.....", "kick": "X.........x."},
    "waltz": {"hat": "x.x.x.x.x.x.", "snare": "....g...x...", "kick": "X..........."},
    "one_drop": {"hat": "X.xxX.xxX.xxX.xx", "rim": "........X.......", "kick": "........X......."},
    "rockers": {"hat": "X.x.X.x.X.x.X.o.", "rim": "....x..x....x...", "kick": "X.......X......."},
    "steppers": {"hat": "x.x.x.x.x.x.x.x.", "rim": "....X.......X..x", "kick": "X...X...X...X..."},
    "shuffle": {"hat": "X.x.X.x.X.x.X.x.", "snare": "....X.......X...", "kick": "X.....x.X......."},
}

FILL_TOKENS = {
    "s": "snare",
    "h": "high_tom",
    "m": "mid_tom",
    "l": "low_tom",
    "f": "floor_tom",
    "k": "kick",
    "o": "open",
}
FILLS: tuple[str, ...] = (
    "s.s.h.f.",
    "shmf",
    "hhmmllff",
    "sshhmmff",
    "s.sshhff",
    "k.s.hmf.",
    "s..s..f.",
    "sfksfksf",
    "ssssssssshhhmmff",
    "s.hhs.mms.llfsff",
    "k.shk.smk.slffff",
    "..h..m..",
    "o...s.ff",
)
"""Played at the end of a section, the last character on the last sixteenth of its last bar."""
LIGHT_FILLS: tuple[str, ...] = ("..sf", "s.hf", "h.m.f.s.", "..s.h.f.", "s...f...")
"""For sections of low energy."""
