// Page tables of every mode that are nearly right: entries with reserved bits, large pages, tables
// that map themselves or lie in ROM, among devices or beyond memory. An access of the software CPU,
// by a walk or with what it has kept of earlier ones, comes to what the manual says: the same
// place, or the same fault, the same bits set in the same entries and nothing else in memory. A
// debugger that looks comes to the same place, and sets nothing.
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "choices.h"
#include "engine/soft/cpu/control.h"
#include "engine/soft/soft_vm.h"
#include "engine/soft/state/fault.h"
#include "engine/soft/testing/test_cpu.h"
#include "hypervisor/guest_memory.h"
#include "plain_walk.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;
using fuzz::PlainAccess;
using fuzz::PlainFault;
using soft::AccessKind;
using soft::Privilege;
using soft::testing::TestCpu;

constexpr std::uint64_t kMemory = 1u << 20, kRom = 4u << 20;
constexpr std::uint64_t kTables[] = {0x9000, 0xa000, 0xb000, 0x9f000, 0xff000};
constexpr std::uint64_t kPlaces[] = {
    0x9000,           0xa000,  0xb000,  0x9f000, 0xff000,    0x20000,    0x30000,    kRom,
    kRom + kPageSize, 0xa0000, 0xbf000, kMemory, 0xfee00000, 1ull << 32, 1ull << 45, 0x9000};
constexpr unsigned kIndices[] = {0, 1, 2, 3, 511, 256, 510, 255};

// Made once: it is large. The engine stands on the same memory, and is only looked through.
struct Machine {
  TestCpu cpu{TestCpu::Mode::Protected32, kMemory};
  std::unique_ptr<soft::SoftEngine> engine;
  std::unique_ptr<fuzz::PlainMemory> plain;
  x86::CpuState start;

  Machine() {
    std::vector<std::uint64_t> rom(2 * kPageSize / 8);
    for (std::size_t i = 0; i < rom.size(); ++i)
      rom[i] = (kPlaces[i % 5] + (i % 7 == 0 ? kRom : 0)) | (i % 8);
    check(cpu.ram().add_rom({kRom}, std::as_bytes(std::span(rom))).has_value());
    soft::Options options;
    options.translator.mode = soft::TranslatorOptions::Mode::Off;
    engine = soft::create(cpu.ram(), cpu.platform, x86::reset_state(), options);
    plain = std::make_unique<fuzz::PlainMemory>(cpu.ram());
    start = cpu->state();
  }
};

Machine& machine() {
  static Machine all;
  return all;
}

class Scene {
 public:
  explicit Scene(Choices& choices) : choices_(choices) {
    for (const std::uint64_t table : kTables)
      std::memset(cpu_.host(table), 0, kPageSize);
    plain_.take_over();
  }

  void play() {
    for (unsigned left = 3 + choices_.below(30); left > 0; --left)
      put_entry();
    enter();
    for (unsigned moves = 0; moves < 60 && !choices_.is_over(); ++moves)
      move();
    check(plain_.is_same());
  }

 private:
  void move() {
    switch (choices_.below(8)) {
      case 0:
        put_entry();
        break;
      case 1:
        enter();
        break;
      case 2:
        look();
        break;
      case 3:
      case 4:
        translate();
        break;
      default:
        load_or_store();
        break;
    }
  }

  std::uint64_t entry() {
    std::uint64_t value = choices_.one_of(kPlaces) | 1;
    const unsigned rights = choices_.below(8);  // mostly all
    value |= rights < 5 ? 6 : rights == 5 ? 4 : rights == 6 ? 2 : 0;
    switch (choices_.below(16)) {
      case 0:
        value &= ~1ull;
        break;
      case 1:
        value |= 1ull << 63;
        break;
      case 2:
      case 3:
        value = (value & ~0x3fe000ull) | 0x80;  // a large page, at an address of one
        break;
      case 4:
        value |= 1ull << choices_.below(64);  // whatever that means
        break;
      case 5:
        value |= std::uint64_t{choices_.below(16)} << 59;
        break;
      case 6:
        value |= 0x80;
        break;
      case 7:
        value = choices_.number<std::uint64_t>();
        break;
      default:
        break;
    }
    return value;
  }
  void put_entry() {
    const std::uint64_t table = choices_.one_of(kTables);
    const unsigned index = choices_.one_of(kIndices);
    if (is_wide_)
      poke(table + 8 * index, entry());
    else
      poke(table + 4 * index, static_cast<std::uint32_t>(entry()));
  }
  // By somebody else: what is kept may be old from now on.
  template <typename T>
  void poke(std::uint64_t address, T value) {
    cpu_.put<T>(address, value);
    plain_.put(address, value);
    changed_ = true;
  }

  // Another mode, other tables, other rights; nothing is kept.
  void enter() {
    using namespace x86;
    struct Mode {
      std::uint64_t cr4, efer;
    };
    constexpr std::uint64_t kLong = efer::LME | efer::LMA;
    constexpr Mode kModes[] = {{cr4::PAE, kLong},
                               {cr4::PAE, 0},
                               {0, 0},
                               {cr4::PAE | cr4::LA57, kLong},
                               {cr4::PSE, 0},
                               {cr4::PAE | cr4::LA57, 0}};
    const Mode mode = choices_.one_of(kModes);
    const unsigned bits = choices_.number<std::uint8_t>();
    CpuState state = machine().start;
    state.cr0 |= (choices_.once_in(16) ? 0 : cr0::PG) | ((bits & 1) == 0 ? cr0::WP : 0);
    state.cr4 = mode.cr4;
    state.efer = mode.efer | ((bits & 2) == 0 ? efer::NXE : 0);
    if ((state.cr0 & cr0::PG) == 0) state.efer = 0;
    if ((bits & 4) != 0) state.cr4 |= cr4::SMEP;
    if ((bits & 8) != 0) state.cr4 |= cr4::SMAP;
    if ((bits & 32) != 0) state.cr4 |= cr4::PGE;
    state.cr3 = choices_.one_of(kPlaces);
    if (choices_.once_in(8)) state.cr3 |= 0xfe0;
    is_wide_ = (state.cr4 & cr4::PAE) != 0;
    cpu_->set_state(state);
    soft::reload_pdptes(*cpu_);
    flush();
    check(machine().engine->vcpu({0}).set_state(state).has_value());
    paging_ = {state.cr0, state.cr3, state.cr4, state.efer, cpu_->pdpte};
  }
  void flush() {
    cpu_->flush_tlb();
    changed_ = false;
    tables_.clear();
  }

  std::uint64_t address() {
    std::uint64_t linear = choices_.below(4) == 0 ? choices_.number<std::uint16_t>() & 0xfff
                                                  : (choices_.below(2) == 0 ? 0x7f8 : 0xffc);
    if (!is_wide_) {
      linear |= std::uint64_t{choices_.one_of(kIndices)} << 12;
      linear |= std::uint64_t{choices_.one_of(kIndices)} << 22;
      return linear;
    }
    if (!paging_.is_long()) {
      for (const unsigned shift : {12, 21})
        linear |= std::uint64_t{choices_.one_of(kIndices)} << shift;
      return linear | std::uint64_t{choices_.below(4)} << 30;
    }
    for (const unsigned shift : {12, 21, 30, 39, 48})
      linear |= std::uint64_t{choices_.one_of(kIndices)} << shift;
    const unsigned unused = 64 - paging_.canonical_bits();
    if (choices_.once_in(16)) return linear;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(linear << unused) >> unused);
  }
  struct Access {
    PlainAccess plain;
    AccessKind kind;
    Privilege privilege;
  };
  Access access(unsigned kinds) {
    constexpr PlainAccess::Kind kKinds[] = {PlainAccess::Kind::Read, PlainAccess::Kind::Write,
                                            PlainAccess::Kind::Fetch};
    constexpr Privilege kPrivileges[] = {Privilege::Supervisor, Privilege::SupervisorAccessOk,
                                         Privilege::User};
    const unsigned kind = choices_.below(kinds);
    const Privilege privilege = choices_.one_of(kPrivileges);
    return {{kKinds[kind], privilege == Privilege::User, privilege != Privilege::Supervisor},
            static_cast<AccessKind>(kind),
            privilege};
  }
  // Where the function leaves the guest with a fault, that; `linear` is the first address.
  template <typename Function>
  bool completes(const Function& function, x86::Exception& fault) {
    try {
      function();
    } catch (const soft::GuestFault& raised) {
      fault = raised.exception;
      return false;
    }
    return true;
  }
  static bool is_same(const x86::Exception& raised, const PlainFault& expected,
                      std::uint64_t address) {
    if (static_cast<unsigned>(raised.vector) != expected.vector ||
        raised.error_code != expected.code)
      return false;
    return expected.vector != 14 || raised.fault_address == address;
  }

  // By a walk of its own.
  void translate() {
    const std::uint64_t linear = address();
    const Access how = access(3);
    PlainFault fault{};
    const auto expected = fuzz::PlainWalk(paging_, plain_).access(linear, how.plain, fault);
    Gpa gpa;
    x86::Exception raised;
    const bool done =
        completes([&] { gpa = cpu_->translate(linear, how.kind, how.privilege); }, raised);
    check(done == expected.has_value());
    if (done)
      check(gpa.value == *expected);
    else
      check(is_same(raised, fault, linear));
  }

  // As an instruction does it: with what is kept of earlier accesses.
  void load_or_store() {
    const std::uint64_t linear = address();
    const Access how = access(2);
    if (changed_) flush();
    std::uint64_t value = choices_.below(4) == 0 ? entry() : 0x1234567890abcdef;
    const std::uint64_t stored = value;
    x86::Exception raised;
    const bool is_write = how.kind == AccessKind::Write;
    const bool done = completes(
        [&] {
          if (is_write)
            cpu_->store_as<std::uint64_t>(linear, stored, how.privilege);
          else
            value = cpu_->load_as<std::uint64_t>(linear, how.privilege);
        },
        raised);
    PlainFault fault{};
    std::uint64_t fault_address = 0, expected = stored;
    const bool should = plainly(linear, how.plain, expected, fault, fault_address);
    check(done == should);
    if (done)
      check(value == expected);
    else
      check(is_same(raised, fault, fault_address));
  }
  // Eight bytes, in one page or two; where a write faults nothing is written.
  bool plainly(std::uint64_t linear, PlainAccess how, std::uint64_t& value, PlainFault& fault,
               std::uint64_t& fault_address) {
    const bool is_write = how.kind == PlainAccess::Kind::Write;
    fuzz::PlainWalk walk(paging_, plain_);
    const std::uint64_t first = std::min<std::uint64_t>(8, kPageSize - linear % kPageSize);
    std::uint64_t next = linear + first;
    if (!paging_.is_long()) next &= 0xffffffff;
    if (first < 8 && !walk.is_canonical(next)) {
      fault = {13, 0};
      return false;
    }
    std::uint64_t places[2]{};
    const std::uint64_t pieces[2] = {first, 8 - first}, addresses[2] = {linear, next};
    auto* bytes = reinterpret_cast<std::byte*>(&value);
    const auto move = [&](unsigned i) {
      const std::uint64_t begin = i == 0 ? 0 : first;
      std::byte* const there =
          plain_.at(places[i], pieces[i],
                    is_write ? fuzz::PlainMemory::For::Writing : fuzz::PlainMemory::For::Reading);
      if (is_write && there != nullptr) std::memcpy(there, bytes + begin, pieces[i]);
      if (is_write) return;
      if (there != nullptr)
        std::memcpy(bytes + begin, there, pieces[i]);
      else
        std::memset(bytes + begin, 0xff, pieces[i]);  // nobody answers
    };
    for (unsigned i = 0; i < 2 && pieces[i] != 0; ++i) {
      const auto place = walk.access(addresses[i], how, fault);
      fault_address = addresses[i];
      if (!place) return false;
      places[i] = *place;
      tables_.insert(walk.tables().begin(), walk.tables().end());
      if (!is_write) move(i);
    }
    for (unsigned i = 0; is_write && i < 2 && pieces[i] != 0; ++i) {
      move(i);
      if (tables_.count(places[i] & ~0xfffull) != 0) changed_ = true;
    }
    return true;
  }

  // A debugger: as a supervisor that reads, whatever the rights are.
  void look() {
    const std::uint64_t linear = address();
    fuzz::PlainPaging paging = paging_;
    paging.physical_bits = 52;  // it does not know how many the processor has
    fuzz::PlainWalk walk(paging, plain_);
    walk.look_in_memory();
    std::uint32_t code = 0;
    const auto page = walk.is_canonical(linear) ? walk.page_of(linear, code) : std::nullopt;
    const auto found = hypervisor::find_extent(*machine().engine, {0}, {linear});
    check(found.has_value() == page.has_value());
    if (!found) {
      check(found.error().code() == ErrorCode::BadAddress);
      fuzz::check_sentence(found.error().text());
      return;
    }
    check(found->gpa.value == page->gpa && found->user == page->user);
    check(found->no_execute == page->no_execute && found->size != 0);
  }

  Choices& choices_;
  TestCpu& cpu_ = machine().cpu;
  fuzz::PlainMemory& plain_ = *machine().plain;
  fuzz::PlainPaging paging_;
  bool is_wide_ = true;
  // Since nothing was kept: whether tables have changed, and which pages they are in.
  bool changed_ = true;
  std::set<std::uint64_t> tables_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  Scene(choices).play();
  return 0;
}
