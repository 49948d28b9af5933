"""WGSL functions for devices with 64-bit types, which `library.called_functions` includes.

`INT64` replaces the functions on pairs of words by those on `i64` and `u64`. `FLOAT64` has the functions of float64, for the
reasons of those of float32; the bits of a float64 are one `u64`.
"""

from __future__ import annotations

INT64: dict[str, str] = {
    "mulhi_u64": """
fn mulhi_u64(a: u64, b: u64) -> u64 {
  let al = a & 0xfffffffflu;
  let ah = a >> 32u;
  let bl = b & 0xfffffffflu;
  let bh = b >> 32u;
  let mid = ah * bl + ((al * bl) >> 32u);
  let cross = al * bh + (mid & 0xfffffffflu);
  return ah * bh + (mid >> 32u) + (cross >> 32u);
}""",
    "mulhi_i64": """
fn mulhi_i64(a: i64, b: i64) -> i64 {
  var high = bitcast<i64>(mulhi_u64(bitcast<u64>(a), bitcast<u64>(b)));
  if (a < 0li) { high = high - b; }
  if (b < 0li) { high = high - a; }
  return high;
}""",
    "to_u64": """
fn to_u64(x: f32) -> u64 {
  if (!(x > 0.0)) { return 0lu; }
  if (x >= 18446744073709551616.0) { return 0xfffffffffffffffflu; }
  return u64(x);
}""",
    "to_i64": """
fn to_i64(x: f32) -> i64 {
  if (is_nan(x)) { return 0li; }
  if (x >= 9223372036854775808.0) { return 0x7fffffffffffffffli; }
  if (x < -9223372036854775808.0) { return bitcast<i64>(0x8000000000000000lu); }
  return i64(x);
}""",
    "index_i64": """
fn index_i64(a: i64) -> i32 {
  // Saturated, for positions: what does not fit lies outside every buffer.
  return i32(clamp(a, -1073741824li, 1073741823li));
}""",
}

FLOAT64: dict[str, str] = {
    "bits_f64": """
fn bits_f64(b: u64) -> f64 {
  var runtime = b;  // no constant expression may be infinite or NaN
  return bitcast<f64>(runtime);
}""",
    "is_nan_f64": """
fn is_nan_f64(x: f64) -> bool { return (bitcast<u64>(x) & 0x7ffffffffffffffflu) > 0x7ff0000000000000lu; }""",
    "self_sub_f64": """
fn self_sub_f64(x: f64) -> f64 {
  if ((bitcast<u64>(x) & 0x7ff0000000000000lu) == 0x7ff0000000000000lu) { return bits_f64(0x7ff8000000000000lu); }
  return 0.0lf;
}""",
    "self_div_f64": """
fn self_div_f64(x: f64) -> f64 {
  let size = bitcast<u64>(x) & 0x7ffffffffffffffflu;
  if (size == 0lu || size >= 0x7ff0000000000000lu) { return bits_f64(0x7ff8000000000000lu); }
  return 1.0lf;
}""",
    "times_zero_f64": """
fn times_zero_f64(x: f64, sign: u64) -> f64 {
  if ((bitcast<u64>(x) & 0x7ff0000000000000lu) == 0x7ff0000000000000lu) { return bits_f64(0x7ff8000000000000lu); }
  return bitcast<f64>((bitcast<u64>(x) & 0x8000000000000000lu) ^ sign);
}""",
    "over_zero_f64": """
fn over_zero_f64(x: f64, sign: u64) -> f64 {
  let size = bitcast<u64>(x) & 0x7ffffffffffffffflu;
  if (size == 0lu || size > 0x7ff0000000000000lu) { return bits_f64(0x7ff8000000000000lu); }
  return bits_f64(((bitcast<u64>(x) & 0x8000000000000000lu) ^ sign) | 0x7ff0000000000000lu);
}""",
    "zero_over_f64": """
fn zero_over_f64(x: f64, sign: u64) -> f64 {
  let size = bitcast<u64>(x) & 0x7ffffffffffffffflu;
  if (size == 0lu || size > 0x7ff0000000000000lu) { return bits_f64(0x7ff8000000000000lu); }
  return bitcast<f64>((bitcast<u64>(x) & 0x8000000000000000lu) ^ sign);
}""",
    "max_f64": """
fn max_f64(a: f64, b: f64) -> f64 {
  if (is_nan_f64(a)) { return a; }
  if (is_nan_f64(b)) { return b; }
  if (a == b) { return bitcast<f64>(bitcast<u64>(a) & bitcast<u64>(b)); }
  return select(b, a, a > b);
}""",
    "min_f64": """
fn min_f64(a: f64, b: f64) -> f64 {
  if (is_nan_f64(a)) { return a; }
  if (is_nan_f64(b)) { return b; }
  if (a == b) { return bitcast<f64>(bitcast<u64>(a) | bitcast<u64>(b)); }
  return select(b, a, a < b);
}""",
    "copysign_f64": """
fn copysign_f64(size: f64, s: f64) -> f64 {
  return bitcast<f64>((bitcast<u64>(size) & 0x7ffffffffffffffflu) | (bitcast<u64>(s) & 0x8000000000000000lu));
}""",
    "integral_f64": """
fn integral_f64(x: f64, r: f64) -> f64 {
  // Whole numbers, infinities and NaN stay as they are, and so does the sign of zero.
  if (!(abs(x) < 4503599627370496.0lf)) { return x; }
  return copysign_f64(r, x);
}""",
    "trunc_f64": """
fn trunc_f64(x: f64) -> f64 {
  // Mesa's software driver truncates and rounds no float64 above 2**31 on some processors; its floor is right on all.
  // The caller, integral_f64, restores the sign.
  return floor(abs(x));
}""",
    "round_f64": """
fn round_f64(x: f64) -> f64 {
  let low = floor(abs(x));  // instead of the driver's round, as in trunc_f64
  let rest = abs(x) - low;
  let odd = floor(low * 0.5lf) * 2.0lf != low;
  return select(low, low + 1.0lf, rest > 0.5lf || (rest == 0.5lf && odd));
}""",
    "leading_u64": """
fn leading_u64(x: u64) -> u32 {
  let high = u32(x >> 32u);
  return select(countLeadingZeros(high), 32u + countLeadingZeros(u32(x & 0xfffffffflu)), high == 0u);
}""",
    "fmod_f64": """
fn fmod_f64(x: f64, y: f64) -> f64 {
  // Long division on the bits, 11 at a time: the remainder is exact.
  let ux = bitcast<u64>(x) & 0x7ffffffffffffffflu;
  let uy = bitcast<u64>(y) & 0x7ffffffffffffffflu;
  let sign = bitcast<u64>(x) & 0x8000000000000000lu;
  if (uy == 0lu || ux >= 0x7ff0000000000000lu || uy > 0x7ff0000000000000lu) { return bits_f64(0x7ff8000000000000lu); }
  if (ux < uy) { return x; }
  var ex = u32(ux >> 52u);
  var ey = u32(uy >> 52u);
  var mx = ux & 0xffffffffffffflu;
  var my = uy & 0xffffffffffffflu;
  if (ex == 0u) { ex = 1u; } else { mx = mx | 0x10000000000000lu; }
  if (ey == 0u) { ey = 1u; } else { my = my | 0x10000000000000lu; }
  mx = mx % my;
  while (ex > ey) {
    let k = min(ex - ey, 11u);
    mx = (mx << k) % my;
    ex = ex - k;
  }
  if (mx == 0lu) { return bits_f64(sign); }
  let shift = min(leading_u64(mx) - 11u, ex - 1u);
  mx = mx << shift;
  ex = ex - shift;
  if (mx >= 0x10000000000000lu) { mx = (mx & 0xffffffffffffflu) | (u64(ex) << 52u); }
  return bits_f64(mx | sign);
}""",
    "to_i32_of_f64": """
fn to_i32_of_f64(x: f64) -> i32 {
  if (is_nan_f64(x)) { return 0; }
  if (x >= 2147483648.0lf) { return 2147483647; }
  if (x <= -2147483648.0lf) { return bitcast<i32>(0x80000000u); }
  return i32(x);
}""",
    "to_u32_of_f64": """
fn to_u32_of_f64(x: f64) -> u32 {
  if (!(x > 0.0lf)) { return 0u; }
  if (x >= 4294967296.0lf) { return 0xffffffffu; }
  return u32(x);
}""",
    "to_i64_of_f64": """
fn to_i64_of_f64(x: f64) -> i64 {
  if (is_nan_f64(x)) { return 0li; }
  if (x >= 9223372036854775808.0lf) { return 0x7fffffffffffffffli; }
  if (x < -9223372036854775808.0lf) { return bitcast<i64>(0x8000000000000000lu); }
  return i64(x);
}""",
    "to_u64_of_f64": """
fn to_u64_of_f64(x: f64) -> u64 {
  if (!(x > 0.0lf)) { return 0lu; }
  if (x >= 18446744073709551616.0lf) { return 0xfffffffffffffffflu; }
  return u64(x);
}""",
}
