#include "guests/linux/vmcoreinfo.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "guests/linux/kernel_image.h"

namespace ringside::guests {
namespace {

using hypervisor::MemoryKind;
using hypervisor::MemoryRegion;

// A slice looks at so much; what nobody has touched is shown in pieces that cost nothing.
constexpr std::uint64_t kSlice = 8u << 20, kPiece = 1u << 20;

constexpr std::string_view kName("VMCOREINFO\0", 11);
constexpr std::string_view kBanner = "Linux version ";
// As much as a kernel's version is ever long (include/linux/utsname.h).
constexpr std::size_t kLongestRelease = 64;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_printable(char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\t'; }

// The value of a line `key`=VALUE, a number to that base.
std::optional<std::uint64_t> value_of(std::string_view text, std::string_view key, int base) {
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    at += line.size() + 1;
    if (!line.starts_with(key) || line.substr(key.size(), 1) != "=") continue;
    std::string_view digits = line.substr(key.size() + 1);
    const bool negative = digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    std::uint64_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
    if (error != std::errc() || stop != end) return std::nullopt;
    return negative ? 0 - value : value;
  }
  return std::nullopt;
}

// "6.1.0-56-cloud-amd64" of a text that begins with a banner; empty where it is none.
std::string_view release_in(std::string_view banner) {
  banner.remove_prefix(kBanner.size());
  const std::string_view release = banner.substr(0, banner.find(' '));
  const bool is_version =
      !release.empty() && release[0] >= '0' && release[0] <= '9' &&
      release.find('.') != std::string_view::npos && release.size() <= kLongestRelease &&
      std::all_of(release.begin(), release.end(),
                  [](char c) { return is_printable(c) && c != '\n' && c != '%'; });
  // After it come who built it and with what, in parentheses.
  return is_version && banner.substr(release.size(), 2) == " (" ? release : std::string_view();
}

// Of a 32-bit kernel nothing is inferred.
std::optional<KernelImage> find_wide_image(hypervisor::Vm& vm) {
  std::optional<KernelImage> image = find_kernel_image(vm);
  if (image && image->space.word != Word::Bits64) image.reset();
  return image;
}

}  // namespace

std::optional<std::string> vmcoreinfo_note(std::span<const std::byte> page) {
  Elf64_Nhdr header;
  constexpr std::size_t kText = sizeof header + (kName.size() + 3) / 4 * 4;
  if (page.size() < kText) return std::nullopt;
  std::memcpy(&header, page.data(), sizeof header);
  if (header.n_namesz != kName.size() || header.n_type != 0 ||
      as_text(page).substr(sizeof header, kName.size()) != kName ||
      header.n_descsz > page.size() - kText) {
    return std::nullopt;
  }
  const std::string_view text = as_text(page).substr(kText, header.n_descsz);
  if (!text.starts_with("OSRELEASE=") || !std::all_of(text.begin(), text.end(), is_printable))
    return std::nullopt;
  return std::string(text);
}

std::optional<std::uint64_t> vmcoreinfo_symbol(std::string_view vmcoreinfo, std::string_view name) {
  return value_of(vmcoreinfo, fmt::format("SYMBOL({})", name), 16);
}

std::optional<std::size_t> find_banner(std::string_view text) {
  for (std::size_t at = text.find(kBanner); at != text.npos; at = text.find(kBanner, at + 1))
    if (!release_in(text.substr(at)).empty()) return at;
  return std::nullopt;
}

std::optional<std::uint64_t> kernels_page_table(std::string_view vmcoreinfo) {
  const auto symbol = vmcoreinfo_symbol(vmcoreinfo, "swapper_pg_dir");
  const auto base = value_of(vmcoreinfo, "NUMBER(phys_base)", 10);
  if (!symbol || !base || *symbol < kImageMap.value) return std::nullopt;
  return *symbol - kImageMap.value + *base;
}

std::string infer_vmcoreinfo(const KernelImage& image, std::string_view release) {
  const std::uint64_t table = image.page_table.value - image.physical_base + kImageMap.value;
  return fmt::format(
      "OSRELEASE={}\nPAGESIZE={}\nSYMBOL(swapper_pg_dir)={:x}\nNUMBER(phys_base)={}\n"
      "SYMBOL(init_top_pgt)={:x}\nNUMBER(pgtable_l5_enabled)={}\nKERNELOFFSET={:x}\n",
      release, kPageSize, table, static_cast<std::int64_t>(image.physical_base), table,
      image.five_levels ? 1 : 0, image.moved_by);
}

VmcoreinfoSearch::VmcoreinfoSearch(hypervisor::Vm& vm) : vm_(vm), image_(find_wide_image(vm)) {
  for (const MemoryRegion& region : vm.memory().regions()) {
    if (region.kind != MemoryKind::Ram) continue;
    ram_.push_back(region);
    total_ += region.size;
  }
}

void VmcoreinfoSearch::begin(Pass pass) {
  pass_ = pass;
  region_ = 0;
  offset_ = 0;
  done_ = 0;
}

bool VmcoreinfoSearch::advance() {
  for (std::uint64_t budget = kSlice; budget != 0 && pass_ != Pass::Over;) {
    if (region_ == ram_.size()) {
      begin(pass_ == Pass::Note && image_ ? Pass::Banner : Pass::Over);
      continue;
    }
    const MemoryRegion& region = ram_[region_];
    const std::uint64_t size = std::min(kPiece, region.size - offset_);
    std::span<const std::byte> memory = vm_.memory().view(region.base + offset_, size);
    std::vector<std::byte> copy;
    if (memory.empty()) {
      copy.resize(std::min(kPageSize, size));
      // What cannot be read is searched as zeros.
      if (!vm_.memory().read_ram(region.base + offset_, copy)) std::ranges::fill(copy, std::byte{});
      memory = copy;
    }
    if (pass_ == Pass::Note) {
      look_for_note(memory);
    } else {
      look_for_banner(memory);
    }
    done_ += memory.size();
    offset_ += memory.size();
    budget -= std::min<std::uint64_t>(budget, memory.size());
    if (offset_ >= region.size) {
      ++region_;
      offset_ = 0;
      end_of_piece_.clear();
    }
  }
  return pass_ == Pass::Over;
}

// A machine that was reset, or a kernel that has started another, leaves the former one's in
// memory.
bool VmcoreinfoSearch::is_of_this_kernel(std::string_view text) const {
  const auto base = value_of(text, "NUMBER(phys_base)", 10);
  return !image_ || !base || *base == image_->physical_base;
}

void VmcoreinfoSearch::look_for_note(std::span<const std::byte> memory) {
  for (std::size_t at = 0; at < memory.size(); at += kPageSize) {
    std::optional<std::string> text = vmcoreinfo_note(memory.subspan(at));
    if (!text || !is_of_this_kernel(*text)) continue;
    text_ = *std::move(text);
    origin_ = VmcoreinfoOrigin::Kernels;
    pass_ = Pass::Over;
    return;
  }
}

void VmcoreinfoSearch::look_for_banner(std::span<const std::byte> memory) {
  const std::string_view all = as_text(memory);
  const auto look = [this](std::string_view text) {
    const std::optional<std::size_t> at = find_banner(text);
    if (!at) return;
    text_ = infer_vmcoreinfo(*image_, release_in(text.substr(*at)));
    origin_ = VmcoreinfoOrigin::Inferred;
    pass_ = Pass::Over;
  };
  constexpr std::size_t kMost = kBanner.size() + kLongestRelease + 2;
  look(end_of_piece_ + std::string(all.substr(0, kMost)));
  if (pass_ != Pass::Over) look(all);
  end_of_piece_ = all.substr(all.size() - std::min(all.size(), kMost));
}

}  // namespace ringside::guests
