// Before the first paint: the theme that was chosen. No module, since those run after it.
(() => {
  try {
    const theme = localStorage.getItem("chosen.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // storage is forbidden: the system's theme
  }
})();
