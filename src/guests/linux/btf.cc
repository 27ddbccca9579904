#include "guests/linux/btf.h"

#include <algorithm>
#include <cstring>

namespace ringside::guests {
namespace {

constexpr std::uint16_t kMagic = 0xeb9f;
constexpr std::size_t kHeader = 24, kTypeHeader = 12, kMember = 12;
// How deep members lie in members, and typedefs in typedefs, and how many members one question may
// go through: far beyond what C programs have.
constexpr unsigned kDeepest = 32;
constexpr std::size_t kMostWork = 100'000;

enum Kind : std::uint8_t {
  kInt = 1,
  kPointer = 2,
  kArray = 3,
  kStruct = 4,
  kUnion = 5,
  kEnum = 6,
  kForward = 7,
  kTypedef = 8,
  kVolatile = 9,
  kConst = 10,
  kRestrict = 11,
  kFunction = 12,
  kPrototype = 13,
  kVariable = 14,
  kSection = 15,
  kFloat = 16,
  kDeclarationTag = 17,
  kTypeTag = 18,
  kEnum64 = 19,
};

// How many bytes follow a type's first twelve; nothing for a kind that is none.
std::optional<std::size_t> body_size(std::uint8_t kind, std::size_t elements) {
  switch (kind) {
    case kInt:
    case kVariable:
    case kDeclarationTag:
      return 4;
    case kArray:
      return 12;
    case kStruct:
    case kUnion:
    case kSection:
    case kEnum64:
      return 12 * elements;
    case kEnum:
    case kPrototype:
      return 8 * elements;
    case kPointer:
    case kForward:
    case kTypedef:
    case kVolatile:
    case kConst:
    case kRestrict:
    case kFunction:
    case kFloat:
    case kTypeTag:
      return 0;
    default:
      return std::nullopt;
  }
}

bool is_other_name(std::uint8_t kind) {
  return kind == kTypedef || kind == kVolatile || kind == kConst || kind == kRestrict ||
         kind == kTypeTag;
}

}  // namespace

Result<Btf> Btf::parse(std::vector<std::byte> bytes, Word word) {
  Btf btf(std::move(bytes), word);
  const Result<void> done = btf.index();
  if (!done) return fail(done.error());
  return btf;
}

Result<void> Btf::index() {
  const auto bad = [](const char* why) {
    return fail(ErrorCode::BadRequest,
                std::string("the kernel's type information (BTF) is damaged: ") + why);
  };
  if (bytes_.size() > kMostBytes) return bad("it is too large");
  if (bytes_.size() < kHeader) return bad("it has no header");
  std::uint16_t magic = 0;
  std::memcpy(&magic, bytes_.data(), sizeof magic);
  if (magic != kMagic || bytes_[2] != std::byte{1}) return bad("it does not begin as BTF does");
  const std::uint64_t header = word(4);
  const std::uint64_t types = header + word(8), types_end = types + word(12);
  const std::uint64_t strings = header + word(16), strings_end = strings + word(20);
  if (header < kHeader || types_end > bytes_.size() || strings_end > bytes_.size())
    return bad("a part of it lies outside");
  strings_ = strings;
  strings_size_ = strings_end - strings;
  for (std::size_t at = types; at < types_end;) {
    if (types_end - at < kTypeHeader) return bad("a type is cut off");
    Type type;
    type.name = word(at);
    const std::uint32_t info = word(at + 4);
    type.elements = static_cast<std::uint16_t>(info & 0xffff);
    type.kind = static_cast<std::uint8_t>(info >> 24 & 0x1f);
    type.bit_fields = (info >> 31) != 0;
    type.size_or_type = word(at + 8);
    type.body = at + kTypeHeader;
    const auto size = body_size(type.kind, type.elements);
    if (!size) return bad("it has a kind of type that is not known");
    if (*size > types_end - type.body) return bad("a type is cut off");
    at = type.body + *size;
    types_.push_back(type);
  }
  return {};
}

std::uint32_t Btf::word(std::size_t at) const {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes_.data() + at, sizeof value);
  return value;
}

std::string_view Btf::name(std::uint32_t offset) const {
  if (offset >= strings_size_) return {};
  const std::string_view all(reinterpret_cast<const char*>(bytes_.data()) + strings_,
                             strings_size_);
  return all.substr(offset, all.find('\0', offset) - offset);
}

const Btf::Type* Btf::type(std::uint32_t id) const {
  return id == 0 || id > types_.size() ? nullptr : &types_[id - 1];
}

const Btf::Type* Btf::structure(std::string_view wanted) const {
  const auto found = std::ranges::find_if(
      types_, [&](const Type& type) { return type.kind == kStruct && name(type.name) == wanted; });
  return found == types_.end() ? nullptr : &*found;
}

const Btf::Type* Btf::resolve(std::uint32_t id) const {
  for (unsigned depth = 0; depth < kDeepest; ++depth) {
    const Type* const found = type(id);
    if (found == nullptr || !is_other_name(found->kind)) return found;
    id = found->size_or_type;
  }
  return nullptr;
}

std::optional<std::uint32_t> Btf::size_of(std::uint32_t id, unsigned depth) const {
  const Type* const found = resolve(id);
  if (found == nullptr || depth > kDeepest) return std::nullopt;
  switch (found->kind) {
    case kPointer:
      return guests::size_of(word_);
    case kArray: {
      const auto size = size_of(word(found->body), depth + 1);
      const std::uint64_t count = word(found->body + 8);
      if (!size || *size * count > kMostBytes) return std::nullopt;
      return static_cast<std::uint32_t>(*size * count);
    }
    case kInt:
    case kStruct:
    case kUnion:
    case kEnum:
    case kEnum64:
    case kFloat:
      return found->size_or_type;
    default:
      return std::nullopt;
  }
}

std::optional<std::uint32_t> Btf::size_of(std::string_view structure_name) const {
  const Type* const found = structure(structure_name);
  if (found == nullptr) return std::nullopt;
  return found->size_or_type;
}

std::optional<Btf::Found> Btf::find(const Type& owner, std::string_view wanted, unsigned depth,
                                    std::size_t& work) const {
  if ((owner.kind != kStruct && owner.kind != kUnion) || depth > kDeepest) return std::nullopt;
  for (std::size_t i = 0; i < owner.elements; ++i) {
    if (++work > kMostWork) return std::nullopt;
    const std::size_t at = owner.body + i * kMember;
    const std::string_view called = name(word(at));
    const std::uint32_t id = word(at + 4), bits = word(at + 8);
    const std::uint32_t offset = (owner.bit_fields ? bits & 0xffffff : bits) / 8;
    if (called == wanted && !called.empty()) {
      if (owner.bit_fields && bits >> 24 != 0) return std::nullopt;
      return Found{id, offset};
    }
    if (!called.empty()) continue;
    const Type* const inner = resolve(id);
    if (inner == nullptr) continue;
    if (const auto found = find(*inner, wanted, depth + 1, work))
      return Found{found->type, offset + found->offset};
  }
  return std::nullopt;
}

std::optional<Btf::Place> Btf::member(std::string_view structure_name,
                                      std::string_view path) const {
  const Type* owner = structure(structure_name);
  Place place;
  std::size_t work = 0;
  for (bool last = false; !last;) {
    if (owner == nullptr) return std::nullopt;
    const std::size_t dot = path.find('.');
    last = dot == path.npos;
    const auto found = find(*owner, path.substr(0, dot), 0, work);
    if (!found) return std::nullopt;
    path.remove_prefix(last ? path.size() : dot + 1);
    place.offset += found->offset;
    const auto size = size_of(found->type, 0);
    if (last && !size) return std::nullopt;
    place.size = size.value_or(0);
    owner = resolve(found->type);
    const bool is_array = owner != nullptr && owner->kind == kArray;
    place.count = is_array ? word(owner->body + 8) : 1;
    if (is_array) owner = resolve(word(owner->body));
  }
  return place;
}

}  // namespace ringside::guests
