<#
.SYNOPSIS
Installs syncd for the whole machine, with its service. Run it again to update.
.PARAMETER Python
The python.exe of a Python that is installed for all users, 3.11 or later.
.PARAMETER Wheel
The syncd wheel to install.
.PARAMETER Start
Start the service too. Edit its configuration first.
#>
#Requires -RunAsAdministrator
param(
    [Parameter(Mandatory)] [string] $Python,
    [Parameter(Mandatory)] [string] $Wheel,
    [switch] $Start
)
$ErrorActionPreference = 'Stop'

function Invoke-Python {
    & $Python @args
    if ($LASTEXITCODE -ne 0) { throw "$Python $args ended with $LASTEXITCODE" }
}

$service = Get-CimInstance -ClassName Win32_Service -Filter "Name = 'syncd'"
$running = $service -and $service.State -ne 'Stopped'
if ($running) {
    Stop-Service -Name syncd
    Wait-Process -Id $service.ProcessId -Timeout 30 -ErrorAction SilentlyContinue  # pip cannot replace files in use
}
Invoke-Python -m pip install --disable-pip-version-check --upgrade $Wheel
$words = @('service', 'install')
if ($Start -or $running) { $words += '--now' }
Invoke-Python -m syncd @words
