#include "machine/acpi/loader_script.h"

#include "base/little_endian.h"

namespace ringside::machine {
namespace {

constexpr std::size_t kCommand = 128, kName = 56;
constexpr std::uint32_t kAllocate = 1, kAddPointer = 2, kAddChecksum = 3;
// Where memory is allocated: anywhere, or below 1 MiB where the root is looked for.
enum class Zone : std::uint8_t { High = 1, Legacy = 2 };

// One command, field by field; zeros fill it.
class Command {
 public:
  explicit Command(std::uint32_t number) { add(number); }
  Command& add(std::uint32_t value, unsigned size = 4) {
    bytes_ += little_endian(value, size);
    return *this;
  }
  Command& file(std::string_view name) {
    bytes_ += name;
    bytes_.append(kName - name.size(), '\0');
    return *this;
  }
  std::string finish() {
    bytes_.resize(kCommand);
    return std::move(bytes_);
  }

 private:
  std::string bytes_;
};

std::string allocate(std::string_view file, unsigned alignment, Zone zone) {
  return Command(kAllocate)
      .file(file)
      .add(alignment)
      .add(static_cast<std::uint32_t>(zone), 1)
      .finish();
}

std::string fix(std::string_view file, const AcpiPiece& piece) {
  std::string script;
  for (const AcpiPiece::Pointer& pointer : piece.pointers) {
    Command command(kAddPointer);
    script +=
        command.file(file).file(kAcpiTablesFile).add(pointer.at).add(pointer.size, 1).finish();
  }
  for (const AcpiPiece::Checksum& sum : piece.checksums) {
    Command command(kAddChecksum);
    script += command.file(file).add(sum.at).add(sum.first).add(sum.size).finish();
  }
  return script;
}

}  // namespace

std::string acpi_loader_script(const AcpiTables& tables) {
  return allocate(kAcpiRootFile, 16, Zone::Legacy) +
         allocate(kAcpiTablesFile, kAcpiAlignment, Zone::High) +
         fix(kAcpiTablesFile, tables.tables) + fix(kAcpiRootFile, tables.root);
}

}  // namespace ringside::machine
