"""Pages in a headless Chromium: what they ask for, what they complain of, what can be heard of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
BLOCK = 4096
RATE = 48_000

# Every gain that goes to the loudspeakers also goes to one input of a node that keeps what it hears: all tracks in the
# same block are heard at the same time. What is started is noted, and can be delayed to see whether a test notices.
EAR = """
(() => {
  const INPUTS = 8;
  window.taps = []; window.blocks = []; window.starts = []; window.delays = [];
  const connect = AudioNode.prototype.connect;
  let merger = null;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode && this instanceof GainNode) {
      if (!merger) {
        merger = new ChannelMergerNode(this.context, { numberOfInputs: INPUTS });
        const ear = this.context.createScriptProcessor(4096, INPUTS, 1);
        ear.onaudioprocess = (event) => {
          const block = Array.from({ length: INPUTS }, (_, i) => event.inputBuffer.getChannelData(i).slice());
          if (block.some((track) => track.some((sample) => sample))) window.blocks.push(block); // a late one is empty
          if (window.blocks.length > 8) window.blocks.shift();
        };
        window.ear = ear; // or it is collected as garbage
        connect.call(merger, ear);
        connect.call(ear, this.context.destination);
      }
      connect.call(this, merger, 0, window.taps.push(this) - 1);
    }
    return connect.call(this, target, ...rest);
  };
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (when, offset) {
    window.starts.push([when, offset, this.loop ? this.loopStart : -1, this.loop ? this.loopEnd : -1]);
    return start.call(this, when + (window.delays[(window.starts.length - 1) % window.taps.length] ?? 0), offset);
  };
})();
"""


def find_chromium() -> str | None:
    """Path of the browser."""
    return shutil.which("chromium")


@contextmanager
def running() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def visit(browser: Any, path: Path, *, width: int = 1200, dark: bool = False) -> Iterator[Any]:
    """Open a file without a network; on leaving, it must have asked for nothing and complained of nothing."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", offline=True
    )
    page = context.new_page()
    complaints, requests = [], []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.add_init_script(EAR)
    page.goto(path.as_uri())
    yield page
    context.close()
    outside = [url for url in requests if url != path.as_uri() and not url.startswith("data:")]
    assert [text for text in complaints if "ScriptProcessorNode" not in text] == []  # that node is the test's own
    assert outside == []


def listen(page: Any, blocks: int = 3) -> np.ndarray:
    """Forget what was heard and hear anew; the last block, a row per track in the order of the page."""
    page.evaluate("window.blocks.length = 0")
    page.wait_for_function(f"window.blocks.length >= {blocks}")
    heard = page.evaluate("window.blocks.at(-1).slice(0, window.taps.length).map((track) => Array.from(track))")
    return np.array(heard)


def levels(page: Any) -> np.ndarray:
    """Level of every track in dB, once gains have settled."""
    heard = listen(page, blocks=4)
    return 10 * np.log10(np.square(heard).mean(axis=1) + 1e-20)


def lag(first: np.ndarray, second: np.ndarray) -> int:
    """By how many samples the second signal is later than the first."""
    size = len(first) + len(second)
    product = np.fft.rfft(second, size) * np.fft.rfft(first, size).conj()
    best = int(np.fft.irfft(product, size).argmax())
    return best if best < len(second) else best - size
