// The photo and the painting in one frame, with a line between them that can be dragged.

const dialog = document.getElementById("compare");
const slider = document.getElementById("slider");

/** Open the dialog for a Job that is done. */
export function compare(job) {
  document.getElementById("compare-title").textContent = `${job.photo}, ${job.preset}`;
  for (const [id, of] of [["before", "photo"], ["after", "result"]]) {
    document.getElementById(id).src = `/v1/jobs/${job.id}/picture?of=${of}&v=${job.finished_at ?? ""}`;
  }
  slider.value = 50;
  moved();
  dialog.showModal();
  slider.focus();
}

function moved() {
  slider.parentElement.style.setProperty("--at", `${slider.value}%`);
}

slider.addEventListener("input", moved);
document.getElementById("close").addEventListener("click", () => dialog.close());
