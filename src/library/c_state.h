// The structs of the C interface and what they stand for. A struct there that can grow begins with
// its size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "ringside/result.h"
#include "ringside/ringside.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::c {

// What an embedder has given, with zeros in the fields that its header did not have yet. A size
// that ends within a pointer, which no header has, leaves that out.
template <typename Struct>
Struct complete(const Struct* given) {
  Struct result{};
  if (given == nullptr) return result;
  const std::size_t whole = given->size & ~(sizeof(void*) - 1);
  std::memcpy(&result, given, std::min(whole, sizeof(Struct)));
  result.size = sizeof(Struct);
  return result;
}

// For a callback to fill in.
template <typename Struct>
Struct empty() {
  Struct result{};
  result.size = sizeof(Struct);
  return result;
}

ringside_cpu_state from_state(const x86::CpuState& state);
x86::CpuState to_state(const ringside_cpu_state& c);

ringside_status to_status(ErrorCode code);
// The error of a callback that gave back something else than RINGSIDE_OK.
Error refused(ringside_status status);

}  // namespace ringside::c
