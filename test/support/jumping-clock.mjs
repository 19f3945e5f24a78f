// Loaded before a program: its wall clock jumps by days, back and forth, at every look.
const real = Date.now
let looks = 0
Date.now = () => real() + ((++looks % 7) - 3) * 86_400_000
