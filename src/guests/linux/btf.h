// The layouts of a kernel's structures, from the type information that it carries in its own memory
// (BTF, Documentation/bpf/btf.rst): where a member lies, without debug information.
//
// Guests lie: every size is checked against the bytes that there are, types that contain themselves
// are followed to a bound. A value; made once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "guests/linux/kernel_image.h"

namespace ringside::guests {

class Btf {
 public:
  // Larger type information is refused: Debian's kernels have 4 to 7 MiB.
  static constexpr std::size_t kMostBytes = 24u << 20;

  // `word`: how large a pointer is, which it does not say itself.
  static Result<Btf> parse(std::vector<std::byte> bytes, Word word = Word::Bits64);

  struct Place {
    std::uint32_t offset = 0;  // in bytes
    std::uint32_t size = 0;
    std::uint32_t count = 1;  // of elements, where it is an array
  };
  // The member of a structure: a name, or names with dots between, for a member of a member; of an
  // array's first element, where that is one. Members of unnamed members count as their owner's, as
  // in C. Nothing for a bit field.
  std::optional<Place> member(std::string_view structure, std::string_view path) const;
  std::optional<std::uint32_t> size_of(std::string_view structure) const;

 private:
  struct Type {
    std::uint32_t name = 0;
    std::uint32_t size_or_type = 0;
    std::uint16_t elements = 0;
    std::uint8_t kind = 0;
    bool bit_fields = false;  // members' offsets have their sizes in the upper byte
    std::size_t body = 0;     // where its own data begin
  };
  Btf(std::vector<std::byte> bytes, Word word) : bytes_(std::move(bytes)), word_(word) {}
  Result<void> index();
  std::uint32_t word(std::size_t at) const;
  std::string_view name(std::uint32_t offset) const;
  const Type* type(std::uint32_t id) const;
  const Type* structure(std::string_view name) const;
  // Behind typedefs, const and the like.
  const Type* resolve(std::uint32_t id) const;
  std::optional<std::uint32_t> size_of(std::uint32_t id, unsigned depth) const;
  struct Found {
    std::uint32_t type = 0;
    std::uint32_t offset = 0;
  };
  std::optional<Found> find(const Type& owner, std::string_view name, unsigned depth,
                            std::size_t& work) const;

  std::vector<std::byte> bytes_;
  Word word_;
  std::vector<Type> types_;  // from 1 on, as they are numbered
  std::size_t strings_ = 0, strings_size_ = 0;
};

}  // namespace ringside::guests
