// Reading a kernel file whose every number may be a lie: values come out only where the file has
// them. Plain functions over bytes that the caller owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

namespace ringside::machine {

using Bytes = std::span<const std::byte>;

// [offset, offset + size) of the image, if it has all of it.
inline std::optional<Bytes> slice(Bytes image, std::uint64_t offset, std::uint64_t size) {
  if (offset > image.size() || size > image.size() - offset) return std::nullopt;
  return image.subspan(offset, size);
}

// Little-endian, like the host.
template <typename T>
std::optional<T> read_at(Bytes image, std::uint64_t offset) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::optional<Bytes> bytes = slice(image, offset, sizeof(T));
  if (!bytes) return std::nullopt;
  T value;
  std::memcpy(&value, bytes->data(), sizeof value);
  return value;
}

template <typename T>
Bytes bytes_of(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return std::as_bytes(std::span(&value, 1));
}

inline Bytes bytes_of_text(const char* text, std::size_t size) {
  return std::as_bytes(std::span(text, size));
}

// A size as people write it.
std::string megabytes(std::uint64_t bytes);

// Offset of the first occurrence, if any.
std::optional<std::uint64_t> find_bytes(Bytes image, Bytes wanted);

}  // namespace ringside::machine
