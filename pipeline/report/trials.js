"use strict";
const clips = JSON.parse(document.getElementById("clips").textContent);
const player = new Audio();
let pressed = null; // the button whose voice plays

function stop() {
  player.pause();
  if (pressed) {
    pressed.setAttribute("aria-pressed", "false");
    pressed.style.removeProperty("--played");
  }
  pressed = null;
}

for (const button of document.querySelectorAll(".play")) {
  button.addEventListener("click", () => {
    const again = pressed === button;
    stop();
    if (again) return;
    pressed = button;
    button.setAttribute("aria-pressed", "true");
    player.src = "data:audio/mpeg;base64," + clips[Number(button.dataset.clip)];
    player.play().catch((error) => {
      if (error.name === "AbortError") return; // another one was started
      button.textContent = "cannot be played here";
      stop();
    });
  });
}
player.addEventListener("ended", stop);
player.addEventListener("timeupdate", () => {
  if (pressed && player.duration) pressed.style.setProperty("--played", (100 * player.currentTime) / player.duration + "%");
});

const chosen = ["kind", "criterion", "person"].map((name) => document.getElementById(name));
const cards = [...document.querySelectorAll(".card")];

function show() {
  const [kind, criterion, person] = chosen.map((select) => select.value);
  let count = 0;
  for (const card of cards) {
    const fits =
      (!kind || card.dataset.kind === kind) &&
      (!criterion || card.dataset.criterion === criterion) &&
      (!person || card.dataset.people.split(" ").includes(person));
    card.hidden = !fits;
    count += fits;
  }
  for (const section of document.querySelectorAll("main section"))
    section.hidden = !section.querySelector(".card:not([hidden])");
  if (pressed && pressed.closest(".card").hidden) stop();
  document.getElementById("count").textContent = count + " of " + cards.length + " shown";
}

for (const select of chosen) select.addEventListener("change", show);
show();
