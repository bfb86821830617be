"use strict";
// One AudioContext, one source and one gain per track, all started at the same moment: the tracks cannot drift apart.
(() => {
  const player = document.querySelector(".player");
  if (!player) return;
  const { duration, tracks } = JSON.parse(document.getElementById("player-data").textContent);
  const $ = (selector, root = player) => root.querySelector(selector);
  const all = (selector, root = player) => [...root.querySelectorAll(selector)];
  const lanes = all(".lane").map((element, index) => ({
    element, ...tracks[index], solo: false, mute: $(".mute", element).ariaPressed === "true", volume: 1, truth: false,
  }));
  let context, ready, playing = false, loop = false, position = 0, startedAt = 0, sources = [];

  const now = () => (playing ? Math.min(Math.max(context.currentTime - startedAt, 0), duration) : position);
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));

  function show() {
    const at = now();
    player.style.setProperty("--at", duration ? at / duration : 0);
    $(".clock b").textContent = clock(at);
    $(".seek").value = at;
    $(".seek").setAttribute("aria-valuetext", `${clock(at)} of ${clock(duration)}`);
  }

  function mix() {
    const anySolo = lanes.some((lane) => lane.solo);
    for (const lane of lanes) {
      const heard = anySolo ? lane.solo : !lane.mute;
      lane.element.classList.toggle("off", !heard);
      press($(".solo", lane.element), lane.solo);
      press($(".mute", lane.element), lane.mute);
      for (const voice of lane.voices ?? []) {
        const on = heard && voice.truth === lane.truth;
        voice.gain.gain.setTargetAtTime(on ? lane.volume ** 2 : 0, context.currentTime, 0.012);
      }
    }
  }

  async function decode(id) {
    const text = atob(document.getElementById(id).textContent.trim());
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    return context.decodeAudioData(bytes.buffer);
  }

  async function prepare() {
    context = new AudioContext();
    for (const lane of lanes) {
      lane.voices = [];
      for (const [id, truth] of [[lane.estimateId, false], [lane.truthId, true]]) {
        if (!id) continue;
        const gain = new GainNode(context, { gain: 0 });
        gain.connect(context.destination);
        lane.voices.push({ gain, truth, buffer: await decode(id) });
      }
    }
  }

  function begin() {
    const when = context.currentTime + 0.06;
    sources = lanes.flatMap((lane) => lane.voices).map((voice) => {
      const source = new AudioBufferSourceNode(context, { buffer: voice.buffer });
      source.connect(voice.gain);
      source.start(when, position);
      return source;
    });
    startedAt = when - position;
    playing = true;
  }

  function halt() {
    position = now();
    sources.forEach((source) => source.stop());
    sources = [];
    playing = false;
  }

  async function toggle() {
    if (player.classList.contains("waiting")) return;
    if (playing) {
      halt();
    } else {
      player.classList.add("waiting");
      try {
        await (ready ??= prepare());
        await context.resume();
      } catch (error) {
        $(".hint").textContent = `This browser cannot play Ogg Opus (${error.message}); the stems are files as well.`;
        return;
      } finally {
        player.classList.remove("waiting");
      }
      if (position >= duration - 0.02) position = 0;
      mix();
      begin();
      requestAnimationFrame(tick);
    }
    player.classList.toggle("playing", playing);
    $(".play").setAttribute("aria-label", playing ? "Pause" : "Play");
    show();
  }

  function tick() {
    if (!playing) return;
    if (now() >= duration) {
      if (loop) seek(0);
      else toggle();
    }
    show();
    if (playing) requestAnimationFrame(tick);
  }

  function seek(seconds) {
    const wasPlaying = playing;
    if (wasPlaying) halt();
    position = Math.min(Math.max(seconds, 0), duration);
    if (wasPlaying) begin();
    show();
  }

  function solo(lane, together) {
    const on = !lane.solo;
    if (!together) lanes.forEach((other) => (other.solo = false));
    lane.solo = on;
    mix();
  }

  $(".play").addEventListener("click", toggle);
  $(".seek").addEventListener("input", (event) => seek(Number(event.target.value)));
  $(".loop").addEventListener("click", (event) => press(event.currentTarget, (loop = !loop)));
  for (const button of all(".switch button")) {
    button.addEventListener("click", () => {
      player.dataset.view = button.value;
      all(".switch button").forEach((other) => press(other, other === button));
    });
  }
  for (const lane of lanes) {
    $(".solo", lane.element).addEventListener("click", (event) => solo(lane, event.shiftKey));
    $(".mute", lane.element).addEventListener("click", () => { lane.mute = !lane.mute; mix(); });
    $(".volume", lane.element).addEventListener("input", (event) => {
      lane.volume = Number(event.target.value);
      event.target.style.setProperty("--value", `${100 * lane.volume}%`);
      mix();
    });
    $(".versus", lane.element)?.addEventListener("click", (event) => {
      press(event.currentTarget, (lane.truth = !lane.truth));
      mix();
    });
    const strip = $(".strip", lane.element);
    const follow = (event) => {
      const box = strip.getBoundingClientRect();
      seek(((event.clientX - box.left) / box.width) * duration);
    };
    strip.addEventListener("pointerdown", (event) => { strip.setPointerCapture(event.pointerId); follow(event); });
    strip.addEventListener("pointermove", (event) => { if (strip.hasPointerCapture(event.pointerId)) follow(event); });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const lane = lanes[Number(event.key) - 1];
    if (event.key === " " && event.target.tagName !== "BUTTON") { event.preventDefault(); toggle(); }
    else if (event.key === "ArrowLeft" && event.target.type !== "range") seek(now() - 5);
    else if (event.key === "ArrowRight" && event.target.type !== "range") seek(now() + 5);
    else if (lane && event.key !== " ") solo(lane, false);
  });
  mix();
  show();
})();
