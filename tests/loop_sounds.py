"""Loops made of NumPy alone: their tempo and key are known."""

import numpy as np

RATE = 22_050
SCALES = {"": (0, 2, 4, 5, 7, 9, 11), "m": (0, 2, 3, 5, 7, 8, 10)}
NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
# style: slowest and fastest tempo; kick, snare and hat at the sixteenths of a bar
STYLES = {
    "house": (116, 128, "x...x...x...x...", "....x.......x...", "..x...x...x...x."),
    "techno": (126, 142, "x...x...x...x...", "................", "xxxxxxxxxxxxxxxx"),
    "rock": (92, 148, "x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "hip-hop": (82, 98, "x..x...x..x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "trap": (130, 150, "x......x........", "........x.......", "x.x.x.x.x.x.xxxx"),
    "dnb": (168, 176, "x.........x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "reggaeton": (86, 100, "x...x...x...x...", "...x..x....x..x.", "x.x.x.x.x.x.x.x."),
    "funk": (96, 116, "x..x......x..x..", ".xx.x..x.x..x..x", "xxxxxxxxxxxxxxxx"),
    "half-time": (78, 92, "x.........x.....", "........x.......", "xxxxxxxxxxxxxxxx"),
    "bossa": (112, 140, "x..xx..xx..xx..x", "x..x..x...x..x..", "x.xxx.xxx.xxx.xx"),
}


def drums(style: str, bpm: float, bars: int, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A loop of kick, snare and hat, exactly ``bars`` long; what rings on goes on at the beginning."""
    rng, loop = np.random.default_rng(seed), np.zeros(round(bars * 240 / bpm * rate), np.float32)
    time = np.arange(rate // 4) / rate
    noise = rng.normal(size=len(time))
    hits = (np.sin(2 * np.pi * 55 * (time + 0.03 * (1 - np.exp(-30 * time)))) * np.exp(-14 * time),
            0.5 * (noise + np.sin(2 * np.pi * 190 * time)) * np.exp(-22 * time),
            0.3 * np.diff(noise, append=0) * np.exp(-70 * time))
    for pattern, hit in zip(STYLES[style][2:], hits, strict=True):
        for step in range(16 * bars):
            if pattern[step % 16] == "x":
                add(loop, hit * rng.uniform(0.7, 1), step * 15 / bpm * rate)
    return loop / np.abs(loop).max() * 0.8


def notes(key: str, bpm: float, bars: int, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A loop of bass and chords in a key such as "Am": first, fourth, fifth and first degree in every bar."""
    rng, loop = np.random.default_rng(seed), np.zeros(round(bars * 240 / bpm * rate), np.float32)
    tonic, scale = NAMES.index(key.rstrip("m")), SCALES["m" if key.endswith("m") else ""]
    time = np.arange(round(60 / bpm * rate)) / rate
    for beat in range(4 * bars):
        degree = (0, 3, 4, 0)[beat % 4]
        for octave, degrees in ((36, (degree,)), (60, (degree, degree + 2, degree + 4))):
            for number in degrees:
                pitch = octave + tonic + scale[number % 7] + 12 * (number // 7)
                hertz = 440 * 2 ** ((pitch - 69) / 12)
                tone = sum(np.sin(2 * np.pi * hertz * part * time) / part ** 2 for part in range(1, 6))
                add(loop, tone * np.exp(-4 * time) * rng.uniform(0.7, 1), beat * 60 / bpm * rate)
    return loop / np.abs(loop).max() * 0.8


def add(loop: np.ndarray, sound: np.ndarray, at: float) -> None:
    """Add a sound at a sample, around the end of the loop."""
    np.add.at(loop, (round(at) + np.arange(len(sound))) % len(loop), sound)


def labelled(count: int, seed: int = 0) -> list[tuple[np.ndarray, int, int]]:
    """Loops of all styles with tempo and bars."""
    rng, made = np.random.default_rng(seed), []
    for number in range(count):
        style = list(STYLES)[number % len(STYLES)]
        bpm, bars = int(rng.integers(STYLES[style][0], STYLES[style][1] + 1)), int(rng.choice([1, 2, 4]))
        sound = drums(style, bpm, bars, number)
        if number % 3 == 0:
            sound = 0.6 * sound + 0.4 * notes(NAMES[number % 12] + "m", bpm, bars, number)
        made.append((sound, bpm, bars))
    return made
