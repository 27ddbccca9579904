// Linux, by Documentation/arch/x86/boot.rst of the kernel: the setup header, boot_params ("zero
// page"), the 32-bit and the 64-bit entry.
#include <fmt/format.h>

#include <algorithm>

#include "machine/boot/acpi_placement.h"
#include "machine/boot/boot_entry.h"
#include "machine/boot/boot_protocols.h"
#include "machine/boot/kernel_payload.h"

namespace ringside::machine {
namespace {

// Offsets in boot_params. The setup header has the same ones in a bzImage.
namespace field {
constexpr std::uint64_t kScreen = 0x000, kAcpiRsdp = 0x070, kE820Entries = 0x1e8,
                        kSetupHeader = 0x1f1, kBootFlag = 0x1fe, kHeaderEnd = 0x201, kMagic = 0x202,
                        kVersion = 0x206, kKernelVersion = 0x20e, kLoaderType = 0x210,
                        kLoadFlags = 0x211, kCode32Start = 0x214, kRamdiskImage = 0x218,
                        kRamdiskSize = 0x21c, kCommandLine = 0x228, kInitrdMax = 0x22c,
                        kKernelAlignment = 0x230, kRelocatable = 0x234, kCommandLineSize = 0x238,
                        kPayloadOffset = 0x248, kPayloadLength = 0x24c, kPreferredAddress = 0x258,
                        kInitSize = 0x260, kLastHeaderByte = 0x28f, kE820Table = 0x2d0;
}

constexpr std::uint32_t kMagicValue = 0x53726448;  // "HdrS"
constexpr std::uint16_t kBootFlagValue = 0xaa55;
constexpr std::uint8_t kUndefinedLoader = 0xff, kLoadedHigh = 1;
constexpr std::uint64_t kSector = 512;
constexpr std::size_t kLargestKernel = 512u << 20;
constexpr std::uint32_t kDefaultInitrdMax = 0x37ffffff;
constexpr std::uint64_t kOneMegabyte = 1u << 20;
constexpr std::string_view kWayOut =
    "firmware starts it from a disk that a boot loader is on (--bios FILE -d IMAGE)";

constexpr std::uint16_t version(unsigned major, unsigned minor) {
  return static_cast<std::uint16_t>(major << 8 | minor);
}

struct __attribute__((packed)) E820Entry {
  std::uint64_t base, size;
  std::uint32_t type;
};

// A VGA card as platform_map.h has it, with its cursor in the upper left corner (struct screen_info
// of the boot parameters).
struct __attribute__((packed)) Screen {
  std::uint8_t column = 0, row = 0;
  std::uint16_t extended_memory = 0, page = 0;
  std::uint8_t mode = kTextMode, columns = kTextColumns;
  std::uint16_t unused = 0;
  std::uint16_t memory = 3;  // 256 KiB, as the video BIOS says it
  std::uint16_t unused_too = 0;
  std::uint8_t rows = kTextRows, is_vga = 1;
  std::uint16_t character_lines = kTextLines;
};

class ZeroPage {
 public:
  // For a kernel without a setup header: what protocol 2.15 says when nothing is asked for.
  static ZeroPage plain() {
    ZeroPage page;
    page.set(field::kBootFlag, kBootFlagValue);
    page.set(field::kMagic, kMagicValue);
    page.set(field::kVersion, version(2, 15));
    page.set(field::kInitrdMax, std::uint32_t{0x7fffffff});
    page.set(field::kKernelAlignment, std::uint32_t{0x200000});
    page.set(field::kCommandLineSize, std::uint32_t{2047});
    return page;
  }
  static ZeroPage from_image(Bytes kernel) {
    ZeroPage page;
    const std::uint64_t end =
        field::kMagic + read_at<std::uint8_t>(kernel, field::kHeaderEnd).value_or(0);
    const std::uint64_t last = std::min({end, field::kLastHeaderByte + 1, kernel.size()});
    if (last > field::kSetupHeader) {
      std::memcpy(&page.bytes_[field::kSetupHeader], &kernel[field::kSetupHeader],
                  last - field::kSetupHeader);
    }
    return page;
  }

  template <typename T>
  void set(std::uint64_t offset, T value) {
    std::memcpy(&bytes_[offset], &value, sizeof value);
  }
  template <typename T>
  T get(std::uint64_t offset) const {
    return *read_at<T>(bytes_, offset);
  }
  Bytes bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_ = std::vector<std::byte>(kPageSize);
};

class Loader {
 public:
  Loader(const BootRequest& request, BootMemory& memory, ZeroPage page)
      : request_(request), memory_(memory), page_(std::move(page)) {}

  Result<BootResult> load_image();
  Result<BootResult> load_elf(const ElfImage& elf, std::string format);

 private:
  Result<BootResult> load_32bit(Bytes code, std::string format);
  Result<Gpa> finish_zero_page();
  std::string kernel_version() const;
  template <typename... Args>
  tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) const {
    return fail(ErrorCode::BadRequest,
                fmt::format("Linux kernel '{}' {}", request_.kernel_name,
                            fmt::format(format, std::forward<Args>(args)...)));
  }

  const BootRequest& request_;
  BootMemory& memory_;
  ZeroPage page_;
};

std::string Loader::kernel_version() const {
  const std::uint64_t offset = page_.get<std::uint16_t>(field::kKernelVersion);
  std::string text;
  if (offset == 0) return text;
  constexpr std::size_t kLongest = 80;
  for (std::uint64_t at = offset + kSector; text.size() < kLongest; ++at) {
    const auto c = read_at<char>(request_.kernel, at);
    if (!c || *c <= ' ' || *c > '~') break;
    text += *c;
  }
  return text.empty() ? text : " " + text;
}

Result<BootResult> Loader::load_image() {
  const auto protocol = page_.get<std::uint16_t>(field::kVersion);
  if (protocol < version(2, 6)) {
    return bad("speaks boot protocol {}.{:02}; 2.06 or newer is supported, and {}", protocol >> 8,
               protocol & 0xff, kWayOut);
  }
  if ((page_.get<std::uint8_t>(field::kLoadFlags) & kLoadedHigh) == 0) {
    return bad("is a zImage, which loads below 1 MiB; only bzImage is supported");
  }
  const auto sectors = page_.get<std::uint8_t>(field::kSetupHeader);
  const std::uint64_t setup_size = ((sectors == 0 ? 4u : sectors) + 1) * kSector;
  if (setup_size >= request_.kernel.size()) {
    return bad("is cut short: its setup code alone is {} bytes, the file {}", setup_size,
               request_.kernel.size());
  }
  const Bytes code = request_.kernel.subspan(setup_size);
  std::string format = fmt::format("Linux{}, boot protocol {}.{:02}", kernel_version(),
                                   protocol >> 8, protocol & 0xff);

  // From 2.08 on the header says where the packed kernel is.
  const std::uint64_t length =
      protocol < version(2, 8) ? 0 : page_.get<std::uint32_t>(field::kPayloadLength);
  if (length == 0) return load_32bit(code, std::move(format));
  const std::uint64_t offset = page_.get<std::uint32_t>(field::kPayloadOffset);
  const std::optional<Bytes> payload = slice(code, offset, length);
  if (!payload) {
    return bad("is cut short: its packed kernel ends at byte {}, the file at {}",
               setup_size + offset + length, request_.kernel.size());
  }
  const std::optional<Compression> compression = detect_compression(*payload);
  if (!compression) {
    return load_32bit(code, format + ", packed in a way that only the guest can unpack");
  }
  Result<std::vector<std::byte>> unpacked =
      unpack(*payload, *compression, kLargestKernel, request_.meanwhile);
  // Was it given up?
  if (request_.meanwhile) TRY(request_.meanwhile({kUnpacking, unpacked ? unpacked->size() : 0}));
  if (!unpacked) return bad("cannot be unpacked: its {}", unpacked.error().text());
  Result<ElfImage> elf = parse_elf(*unpacked);
  if (!is_elf(*unpacked) || !elf) {
    return load_32bit(code, format + ", unpacks to something other than ELF");
  }
  return load_elf(
      *elf, fmt::format("{}, {} unpacked on the host", format, compression_name(*compression)));
}

Result<BootResult> Loader::load_32bit(Bytes code, std::string format) {
  const std::uint64_t start = page_.get<std::uint32_t>(field::kCode32Start);
  // What is loaded high and begins low is there for its real-mode part alone, which would call a
  // BIOS.
  if (start < kOneMegabyte) {
    return bad("has no 32-bit entry, only a real-mode part that needs a BIOS; {}", kWayOut);
  }
  const auto protocol = page_.get<std::uint16_t>(field::kVersion);
  std::uint64_t size = code.size();
  // What the kernel needs before it can look at the memory map (2.10).
  const std::uint64_t init_size =
      protocol < version(2, 10) ? 0 : page_.get<std::uint32_t>(field::kInitSize);
  const std::string what = fmt::format("Linux kernel '{}'", request_.kernel_name);
  TRY(memory_.load({start}, code, std::max(size, init_size), what));
  if (init_size != 0 && page_.get<std::uint8_t>(field::kRelocatable) != 0) {
    // It moves itself up to its preferred address if it was loaded lower.
    const auto preferred = page_.get<std::uint64_t>(field::kPreferredAddress);
    if (preferred > start) TRY(memory_.reserve({preferred}, init_size, what));
  }
  const Gpa zero_page = TRY(finish_zero_page());
  BootResult result;
  result.format = std::move(format) + ", 32-bit entry";
  result.entry = TRY(enter_32bit(memory_, start));
  result.entry.reg(x86::Gpr::Rsi) = zero_page.value;
  result.is_linux = true;
  return result;
}

Result<BootResult> Loader::load_elf(const ElfImage& elf, std::string format) {
  TRY(load_segments(elf, memory_, request_.kernel_name));
  const Gpa zero_page = TRY(finish_zero_page());
  const std::uint64_t entry = elf.physical_entry();
  if (entry > 0xffffffff) return bad("starts at {:#x}, beyond 4 GiB", entry);
  BootResult result;
  result.format = fmt::format("{}, {}-bit entry", format, elf.is_64bit ? 64 : 32);
  result.entry = TRY(elf.is_64bit ? enter_64bit(memory_, entry) : enter_32bit(memory_, entry));
  result.entry.reg(x86::Gpr::Rsi) = zero_page.value;
  result.is_linux = true;
  return result;
}

Result<Gpa> Loader::finish_zero_page() {
  const auto longest = page_.get<std::uint32_t>(field::kCommandLineSize);
  if (request_.command_line.size() > longest) {
    return bad("takes a command line of at most {} bytes; this one has {}", longest,
               request_.command_line.size());
  }
  if (request_.modules.size() > 1) return bad("takes one initrd, not {}", request_.modules.size());

  if (request_.text_card) page_.set(field::kScreen, Screen{});
  page_.set(field::kAcpiRsdp, kAcpiStart.value);
  page_.set(field::kLoaderType, kUndefinedLoader);
  page_.set(field::kLoadFlags,
            static_cast<std::uint8_t>(page_.get<std::uint8_t>(field::kLoadFlags) | kLoadedHigh));
  const Gpa command_line = TRY(place_text(memory_, request_.command_line, "the command line"));
  page_.set(field::kCommandLine, static_cast<std::uint32_t>(command_line.value));

  if (!request_.modules.empty() && !request_.modules[0].content.empty()) {
    const BootModule& initrd = request_.modules[0];
    const auto highest = page_.get<std::uint32_t>(field::kInitrdMax);
    const Gpa limit{std::uint64_t{highest == 0 ? kDefaultInitrdMax : highest} + 1};
    const Gpa place = TRY(
        memory_.place_high(initrd.content.size(), limit, fmt::format("initrd '{}'", initrd.name)));
    memory_.write(place, initrd.content);
    page_.set(field::kRamdiskImage, static_cast<std::uint32_t>(place.value));
    page_.set(field::kRamdiskSize, static_cast<std::uint32_t>(initrd.content.size()));
  }

  std::uint8_t count = 0;
  for (const MemoryRange& range : memory_.map()) {
    const E820Entry entry{range.base.value, range.size, static_cast<std::uint32_t>(range.kind)};
    page_.set(field::kE820Table + count * sizeof entry, entry);
    ++count;
  }
  page_.set(field::kE820Entries, count);

  const Gpa place = TRY(memory_.place_low(kPageSize, kLowMemory, "the boot parameters"));
  memory_.write(place, page_.bytes());
  return place;
}

}  // namespace

bool is_linux_image(Bytes kernel) {
  return read_at<std::uint16_t>(kernel, field::kBootFlag) == kBootFlagValue &&
         read_at<std::uint32_t>(kernel, field::kMagic) == kMagicValue;
}

Result<BootResult> boot_linux_image(const BootRequest& request, BootMemory& memory) {
  return Loader(request, memory, ZeroPage::from_image(request.kernel)).load_image();
}

bool is_linux_elf(const ElfImage& elf) {
  constexpr std::string_view kBanner = "Linux version ";
  for (const ElfSegment& segment : elf.segments) {
    if (find_bytes(segment.content, bytes_of_text(kBanner.data(), kBanner.size()))) return true;
  }
  return false;
}

Result<BootResult> boot_linux_elf(const BootRequest& request, const ElfImage& elf,
                                  BootMemory& memory) {
  return Loader(request, memory, ZeroPage::plain())
      .load_elf(elf, fmt::format("Linux ELF{}", elf.is_64bit ? 64 : 32));
}

}  // namespace ringside::machine
